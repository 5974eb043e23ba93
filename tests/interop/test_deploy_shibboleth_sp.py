"""The published resolver that brings the authority's metadata along, in the real Shibboleth service provider."""

from pathlib import Path

import pytest
from lxml import etree

from tests.interop.cases import NOTHING, ORCID, RELEASED
from tests.peers.lab import Federation, Member, TrustedAuthority
from tests.peers.shibboleth import Knowledge, Mode, configure, query


@pytest.mark.parametrize("mode", [Mode.TLS, Mode.SIGNED, Mode.MESSAGE_ONLY])
def test_authority_known_to_the_resolver_alone_is_asked(
    tmp_path: Path, federation: Federation, authority: TrustedAuthority, mode: Mode
) -> None:
    """A service provider whose own metadata lacks the authority receives the iD, and has nothing to complain of."""
    asker = federation.released
    service_provider = configure(tmp_path, federation, asker, authority, mode, knowledge=Knowledge.NESTED)
    answer = query(service_provider, RELEASED[0].about(federation, asker))

    assert ((ORCID,), None) == (answer.attributes.get("eduPersonOrcid"), answer.failure), answer.log


def test_login_without_an_orcid_is_silent(tmp_path: Path, federation: Federation, authority: TrustedAuthority) -> None:
    """Where there is nothing to release the login goes on without a complaint."""
    asker = federation.released
    service_provider = configure(tmp_path, federation, asker, authority, Mode.TLS, knowledge=Knowledge.NESTED)
    answer = query(service_provider, NOTHING[0].about(federation, asker))

    assert (["eppn"], None) == (list(answer.attributes), answer.failure), answer.log


def test_metadata_of_another_key_is_not_believed(tmp_path: Path, federation: Federation, authority: TrustedAuthority) -> None:
    """The nested metadata is what trust begins with: where it holds other keys the answer is not taken."""
    asker = federation.released
    trusting = TrustedAuthority(authority.entity_id, _with_key_of(federation.impostor, authority, tmp_path / "forged.xml"))
    service_provider = configure(tmp_path, federation, asker, trusting, Mode.TLS, knowledge=Knowledge.NESTED)
    answer = query(service_provider, RELEASED[0].about(federation, asker))

    assert "eduPersonOrcid" not in answer.attributes
    assert f"unable to obtain a SAML response from attribute authority ({authority.entity_id})" in (answer.failure or "")


def _with_key_of(member: Member, authority: TrustedAuthority, file: Path) -> Path:
    metadata = etree.parse(authority.metadata)
    for certificate in metadata.iter("{http://www.w3.org/2000/09/xmldsig#}X509Certificate"):
        certificate.text = "".join(member.keys.certificate.read_text().splitlines()[1:-1])
    metadata.write(file)
    return file

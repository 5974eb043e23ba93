"""The Shibboleth service provider, configured with the published snippets, aggregates eduPersonOrcid during a login."""

from pathlib import Path

import pytest

from tests.interop.cases import NOTHING, ORCID, REFUSED, RELEASED, Case
from tests.peers.lab import EPPN, Federation, Reply, TrustedAuthority
from tests.peers.shibboleth import Mode, configure, query

PLAIN = (Mode.TLS, Mode.SIGNED, Mode.MESSAGE_ONLY)


def ask(directory: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode) -> Reply:
    """Let the case's service provider handle one login."""
    asker = case.asker(federation)
    service_provider = configure(directory, federation, asker, authority, mode)
    return query(service_provider, case.about(federation, asker))


@pytest.mark.parametrize("mode", PLAIN)
@pytest.mark.parametrize("case", RELEASED, ids=str)
def test_login_receives_the_orcid(tmp_path: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode) -> None:
    """A service provider with a release rule receives exactly the iD, and its log has nothing to complain of."""
    answer = ask(tmp_path, federation, authority, case, mode)

    assert ((ORCID,), None) == (answer.attributes.get("eduPersonOrcid"), answer.failure), answer.log


@pytest.mark.parametrize("mode", PLAIN)
@pytest.mark.parametrize("case", NOTHING, ids=str)
def test_login_without_orcid_is_silent(tmp_path: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode) -> None:
    """Where there is nothing to release the login goes on without the attribute and without a complaint in the log."""
    answer = ask(tmp_path, federation, authority, case, mode)
    brought = "eppn" if case.about(federation, case.asker(federation)).format == EPPN else "persistent-id"

    assert ([brought], None) == (list(answer.attributes), answer.failure), answer.log


@pytest.mark.parametrize("mode", PLAIN)
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_unproven_service_provider_is_refused(
    tmp_path: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode
) -> None:
    """A service provider that is not in the metadata, or whose key is not, is told that it was denied and receives nothing."""
    answer = ask(tmp_path, federation, authority, case, mode)

    assert "eduPersonOrcid" not in answer.attributes
    assert f"attribute authority ({authority.entity_id}) returned a SAML error" in (answer.failure or "")


@pytest.mark.parametrize("case", RELEASED, ids=str)
def test_encrypted_name_id_is_understood(
    tmp_path: Path, federation: Federation, encrypting_authority: TrustedAuthority, case: Case
) -> None:
    """A NameID that travels as EncryptedID is answered as the plain one is."""
    answer = ask(tmp_path, federation, encrypting_authority, case, Mode.ENCRYPTED)

    assert ((ORCID,), None) == (answer.attributes.get("eduPersonOrcid"), answer.failure), answer.log


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_encrypted_name_id_of_unproven_service_provider_is_refused(
    tmp_path: Path, federation: Federation, encrypting_authority: TrustedAuthority, case: Case
) -> None:
    """Encryption proves nothing about the sender: everybody has the authority's public key."""
    answer = ask(tmp_path, federation, encrypting_authority, case, Mode.ENCRYPTED)

    assert "eduPersonOrcid" not in answer.attributes
    assert f"attribute authority ({encrypting_authority.entity_id}) returned a SAML error" in (answer.failure or "")


def test_no_encryption_key_is_published_by_default(tmp_path: Path, federation: Federation, authority: TrustedAuthority) -> None:
    """A service provider that insists on encryption cannot even ask an authority with default settings."""
    answer = ask(tmp_path, federation, authority, RELEASED[0], Mode.ENCRYPTED)

    assert "eduPersonOrcid" not in answer.attributes
    assert answer.failure is not None

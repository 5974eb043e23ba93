"""The table of a directory as a sink, and what becomes of values by its rules."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import DeliveryRefused, OperatorError
from connectors._ldap_change import ValueRule
from connectors.ldap_entries import LdapEntriesSettings
from tests.factories.directory_sinks import FOREIGN, FORMER, ORCID, delivery, open_sink, sink_table, uri
from tests.peers.slapd import PEOPLE

LDAPS = ["ldaps://ldap.uni.example"]


def faults(**keys: object) -> str:
    """Return what is said of a table; there has to be a fault."""
    with pytest.raises(ValidationError) as caught:
        sink_table(**({"urls": LDAPS} | keys))
    return str(caught.value)


def test_the_defaults_are_careful() -> None:
    """With the least that can be given, eduPersonOrcid gets URIs beside others' values, over TLS, and no object class."""
    settings = sink_table(urls=["ldap://ldap.uni.example"])

    assert ("eduPersonOrcid", None, "uri", "several", False) == (
        settings.attribute,
        settings.object_class,
        settings.value,
        settings.values,
        settings.overwrite,
    )
    assert (True, "ldap", 10.0, 4) == (settings.addresses()[0].start_tls, settings.sink_name, settings.timeout, settings.connections)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"urls": []}, "at least 1"),
        ({"urls": ["http://ldap.uni.example"]}, "expected ldaps://host or ldap://host"),
        ({"urls": ["ldap://ldap.uni.example"], "start_tls": False}, "passwords and people do not travel in clear"),
        ({"bind_dn": "cn=orcid"}, "bind_dn and password_file belong together"),
        ({"base": "people"}, "expected a distinguished name"),
        ({"filters": {}}, "at least 1"),
        ({"filters": {"eppn": "(objectClass=person)"}}, "filters.eppn: a filter without {value}"),
        ({"filters": {"eppn": "(uid={local_part})"}}, "needs local_part_scope"),
        ({"attribute": "jpegPhoto"}, "are octets and no text"),
        ({"attribute": "eduPersonOrcid;lang-fi"}, "expected the name of an attribute, without options"),
        ({"object_class": "edu person"}, "expected the name of an object class, such as eduPerson"),
        ({"object_class": ""}, "expected the name of an object class, such as eduPerson"),
        ({"value": "url"}, "'uri' or 'bare'"),
        ({"values": "one"}, "'several' or 'single'"),
        ({"overwrite": True}, 'overwrite is for values = "single"'),
        ({"overwrite": 1}, "valid boolean"),
        ({"connections": 0}, "expected an integer from 1 to 64"),
        ({"timeout": 0}, "expected a number of seconds above 0"),
        ({"name": "Katalog"}, "expected a name of up to 64 lower-case letters"),
        ({"identifiers": {"uid": "eppn"}}, "identifiers"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(keys: dict[str, Any], sentence: str) -> None:
    """Each fault is told in a sentence."""
    assert sentence in faults(**keys)


@pytest.mark.parametrize(("content", "sentence"), [(b"", "on one line"), (b"\xff", "in UTF-8"), (None, "cannot be read")])
def test_a_password_file_without_a_password_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """The fault names the file and quotes nothing of it."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(OperatorError) as caught:
        open_sink(sink_table(urls=LDAPS, bind_dn="cn=orcid", password_file=str(file)))

    assert caught.value.cause.startswith(f"{file}: ")
    assert sentence in caught.value.cause


def test_files_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    """Relative names are those of files in the configuration's directory."""
    table = {"kind": "ldap", "urls": LDAPS, "base": PEOPLE, "tls_ca": "ca.pem", "filters": {"eppn": "(uid={value})"}}

    assert tmp_path / "ca.pem" == LdapEntriesSettings.model_validate(table, context={"directory": tmp_path}).tls_ca


IDS = st.sampled_from([ORCID, FORMER, FOREIGN])
FORMS = st.sampled_from(["{}", "https://orcid.org/{}", "http://orcid.org/{}", "HTTPS://ORCID.ORG/{}", "https://www.orcid.org/{}/"])
VALUES = st.lists(
    st.builds(lambda form, orcid: form.format(orcid.value).encode(), FORMS, IDS)
    | st.sampled_from([uri(ORCID).replace("orcid", "sandbox.orcid", 1).encode(), b"\xff", b"", b"0000-0002-1825-0098"]),
    max_size=6,
    unique=True,
)
RULES = st.builds(ValueRule, st.just(Environment.PRODUCTION), st.booleans(), st.booleans(), st.booleans())
DELIVERIES = st.builds(
    lambda orcid, former, ours: delivery(orcid, *former, may_be_ours=ours), st.none() | IDS, st.lists(IDS, max_size=2), st.booleans()
)


def _reading(value: bytes) -> OrcidId | None:
    text = value.decode(errors="replace").lower()
    return next((orcid for orcid in (ORCID, FORMER, FOREIGN) if orcid.value.lower() in text and "sandbox" not in text), None)


@given(RULES, VALUES, DELIVERIES)
def test_a_change_keeps_what_is_not_ours_and_is_made_once(rule: ValueRule, present: list[bytes], delivered: Any) -> None:
    """Only values that stand there go; others' stay unless they may be overwritten; the iD is there then, former ones are not."""
    try:
        change = rule.change(present, delivered)
    except DeliveryRefused:
        assert (True, False) == (rule.single, rule.overwrite)
        assert delivered.orcid is not None
        return
    ours = {delivered.orcid, *delivered.former} - {None}
    held = [value for value in present if value not in change.delete] + list(change.add)
    again = rule.change(held, delivered)

    assert set(change.delete) <= set(present)
    assert all(_reading(value) in ours for value in change.delete) or (rule.single and rule.overwrite)
    assert delivered.orcid in {None, *map(_reading, held)}
    assert not {_reading(value) for value in held} & (set(delivered.former) - {delivered.orcid})
    assert again.is_empty


def test_an_id_that_stands_in_a_single_place_has_nothing_in_its_way() -> None:
    """Where the iD stands already, what else does is none of our business: neither a refusal nor to be overwritten."""
    for overwrite in (False, True):
        change = ValueRule(Environment.PRODUCTION, True, True, overwrite).change(
            [FOREIGN.value.encode(), ORCID.value.encode()], delivery(ORCID, may_be_ours=True)
        )

        assert ((ORCID.value.encode(),), (uri(ORCID).encode(),)) == (change.delete, change.add)

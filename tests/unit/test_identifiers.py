"""Identifiers and ORCID iDs: what is accepted, in which canonical form, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.domain.identifiers import (
    Environment,
    Identifier,
    IdentifierKind,
    OrcidId,
    parse_entity_id,
    parse_identifier,
    parse_identifier_text,
)
from attribute_authority.errors import InvalidIdentifier

IDP = "https://idp.example.fi/idp"
SP = "https://sp.example.org/shibboleth"
PRODUCTION = Environment.PRODUCTION
SANDBOX = Environment.SANDBOX

VALID_ORCIDS = (
    "0000-0002-1825-0097",
    "0000-0001-5109-3700",
    "0000-0002-1694-233X",
    "0000-0002-9079-593X",
    "0000-0003-1415-9269",
    "0000-0001-2345-6789",
    "0000-0003-0833-4032",
    "0000-0002-1260-232X",
    "0009-0001-5055-9262",
    "0009-0003-7578-3214",
    "0000-0001-5000-0007",
    "0000-0003-5000-0001",
    "0009-0000-0000-0009",
    "0009-0010-0000-0003",
    "8888-8888-8888-8880",
    "0000-0001-0000-0009",
)

WRONG_CHECK_CHARACTERS = (
    "0000-0002-1825-0098",
    "0000-0002-1694-2330",
    "0000-0002-1852-0097",
    "0000-0002-6622-4910",
    "4444-4444-4444-4445",
    "0000-0000-0000-0000",
    "0009-0000-0000-000X",
)

WRONG_SHAPES = (
    "",
    "000000021825009",
    "0000-0002-1825-00977",
    "0000000218250097",
    "0000-0002-1825-009",
    "0000-0002-1825-0097-",
    "0000-0002-1825-X097",
    "0000–0002–1825–0097",
    "００００-0002-1825-0097",
    "0000-0002-1825-0097\n0000-0001-5109-3700",
    "orcid.org/0000-0002-1825-0097",
    "ftp://orcid.org/0000-0002-1825-0097",
    "https://orcid.org.example.com/0000-0002-1825-0097",
    "https://example.com/https://orcid.org/0000-0002-1825-0097",
    "https://qa.orcid.org/0000-0002-1825-0097",
    "https://orcid.org/0000-0002-1825-0097?x=1",
    "https://orcid.org/0000-0002-1825-0097/record",
)


class TestOrcidId:
    """ORCID iDs."""

    @pytest.mark.parametrize("text", VALID_ORCIDS)
    def test_valid_ids(self, text: str) -> None:
        """An iD with a fitting check character is accepted as it is."""
        assert OrcidId.parse(text, PRODUCTION).value == text

    @pytest.mark.parametrize("text", WRONG_CHECK_CHARACTERS)
    def test_wrong_check_character(self, text: str) -> None:
        """A mistyped or transposed digit is noticed."""
        with pytest.raises(InvalidIdentifier, match="check character"):
            OrcidId.parse(text, PRODUCTION)

    @pytest.mark.parametrize("text", WRONG_SHAPES)
    def test_other_shapes(self, text: str) -> None:
        """What is not an iD, or hides one in something else, is refused."""
        with pytest.raises(InvalidIdentifier, match="is not an ORCID iD"):
            OrcidId.parse(text, PRODUCTION)

    @pytest.mark.parametrize(
        "text",
        [
            "0000-0002-1694-233x",
            " 0000-0002-1694-233X\n",
            "https://orcid.org/0000-0002-1694-233X",
            "http://orcid.org/0000-0002-1694-233x",
            "https://www.orcid.org/0000-0002-1694-233X",
            "https://orcid.org/0000-0002-1694-233X/",
        ],
    )
    def test_forms_of_one_id(self, text: str) -> None:
        """Every form in which people write an iD becomes the bare form with an upper case X."""
        assert OrcidId.parse(text, PRODUCTION).value == "0000-0002-1694-233X"

    @pytest.mark.parametrize(("environment", "other"), [(PRODUCTION, "sandbox.orcid.org"), (SANDBOX, "orcid.org")])
    def test_other_registry_is_refused(self, environment: Environment, other: str) -> None:
        """An iD that says it is of the other registry is never taken for one of ours."""
        with pytest.raises(InvalidIdentifier, match="another ORCID registry"):
            OrcidId.parse(f"https://{other}/0000-0002-1825-0097", environment)

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [(PRODUCTION, "https://orcid.org/0000-0002-1825-0097"), (SANDBOX, "https://sandbox.orcid.org/0000-0002-1825-0097")],
    )
    def test_uri_form(self, environment: Environment, expected: str) -> None:
        """The URI names the registry of the environment, and is read back as the same iD."""
        orcid = OrcidId("0000-0002-1825-0097")

        assert orcid.uri(environment) == expected
        assert OrcidId.parse(expected, environment) == orcid

    @given(st.sampled_from(VALID_ORCIDS), st.integers(min_value=0, max_value=14), st.integers(min_value=1, max_value=9))
    def test_every_single_wrong_digit_is_noticed(self, text: str, position: int, shift: int) -> None:
        """No single wrong digit makes another valid iD (ISO 7064 MOD 11-2)."""
        places = [index for index, character in enumerate(text) if character != "-"]
        index = places[position]
        wrong = text[:index] + str((int(text[index]) + shift) % 10) + text[index + 1 :]

        with pytest.raises(InvalidIdentifier, match="check character"):
            OrcidId.parse(wrong, PRODUCTION)

    @given(st.text())
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        """Whatever is given, the outcome is an iD or the one error, never another."""
        try:
            value = OrcidId.parse(text, PRODUCTION).value
        except InvalidIdentifier:
            return

        assert value in text.upper()


class TestIdentifier:
    """Identifiers of people."""

    @pytest.mark.parametrize(
        ("kind", "text", "expected"),
        [
            (IdentifierKind.EPPN, "Teppo.Testaaja@Yliopisto.FI", "teppo.testaaja@yliopisto.fi"),
            (IdentifierKind.EPPN, "äijä@yliopisto.fi", "äijä@yliopisto.fi"),
            (IdentifierKind.EPPN, "o'brien+x@uni.example", "o'brien+x@uni.example"),
            (IdentifierKind.UNIQUE_ID, "28C5353B8BB34984A8BD4169BA94C606@uni.example", "28c5353b8bb34984a8bd4169ba94c606@uni.example"),
            (IdentifierKind.SUBJECT_ID, "IDM-123=A@Uni.Example", "idm-123=a@uni.example"),
            (IdentifierKind.PAIRWISE_ID, "HA2TKNZZGE2TOZDCGMZWKOLDHBRWIMBSGM@osu.edu", "ha2tknzzge2tozdcgmzwkoldhbrwimbsgm@osu.edu"),
        ],
    )
    def test_canonical_form(self, kind: IdentifierKind, text: str, expected: str) -> None:
        """Identifiers that compare without regard to case are kept in lower case."""
        assert parse_identifier(kind, text).value == expected

    def test_persistent_identifier_keeps_its_case(self) -> None:
        """A persistent NameID is opaque: nothing of it or its qualifiers is changed."""
        identifier = parse_identifier(IdentifierKind.PERSISTENT, "MbipNKZyaJFx7LGnJGgdsN2cdLE=", IDP, SP)

        assert (identifier.value, identifier.name_qualifier, identifier.sp_name_qualifier) == ("MbipNKZyaJFx7LGnJGgdsN2cdLE=", IDP, SP)

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (IdentifierKind.EPPN, ""),
            (IdentifierKind.EPPN, "teppo"),
            (IdentifierKind.EPPN, "@uni.example"),
            (IdentifierKind.EPPN, "teppo@"),
            (IdentifierKind.EPPN, "teppo@a@b"),
            (IdentifierKind.EPPN, "teppo @uni.example"),
            (IdentifierKind.EPPN, "teppo@uni.example\n"),
            (IdentifierKind.EPPN, "teppo\x00@uni.example"),
            (IdentifierKind.EPPN, "teppo\udcff@uni.example"),
            (IdentifierKind.EPPN, "x" * 245 + "@uni.example"),
            (IdentifierKind.UNIQUE_ID, "a-b@uni.example"),
            (IdentifierKind.UNIQUE_ID, "x" * 65 + "@uni.example"),
            (IdentifierKind.SUBJECT_ID, "a_b@uni.example"),
            (IdentifierKind.SUBJECT_ID, "=a@uni.example"),
            (IdentifierKind.SUBJECT_ID, "x" * 128 + "@uni.example"),
            (IdentifierKind.PAIRWISE_ID, "abc"),
        ],
    )
    def test_other_shapes_are_refused(self, kind: IdentifierKind, text: str) -> None:
        """A text that is not of its kind is refused with what was expected."""
        with pytest.raises(InvalidIdentifier, match=f"is not a valid {kind}"):
            parse_identifier(kind, text)

    @pytest.mark.parametrize(("name_qualifier", "sp_name_qualifier"), [(None, None), (IDP, None), (None, SP)])
    def test_persistent_identifier_needs_both_qualifiers(self, name_qualifier: str | None, sp_name_qualifier: str | None) -> None:
        """Without both qualifiers a persistent NameID would mean different people."""
        with pytest.raises(InvalidIdentifier, match="needs a NameQualifier"):
            parse_identifier(IdentifierKind.PERSISTENT, "AbC=", name_qualifier, sp_name_qualifier)

    @pytest.mark.parametrize(
        ("kind", "name_qualifier", "sp_name_qualifier"),
        [(IdentifierKind.EPPN, IDP, None), (IdentifierKind.SUBJECT_ID, None, SP), (IdentifierKind.PAIRWISE_ID, IDP, None)],
    )
    def test_other_kinds_take_no_such_qualifier(
        self, kind: IdentifierKind, name_qualifier: str | None, sp_name_qualifier: str | None
    ) -> None:
        """A qualifier that its kind does not have is a mistake, not decoration."""
        with pytest.raises(InvalidIdentifier, match="takes no such qualifier"):
            parse_identifier(kind, "abc@uni.example", name_qualifier, sp_name_qualifier)

    @pytest.mark.parametrize(
        "text",
        [
            "eppn=teppo@uni.example",
            "eppn=te!ppo=x@uni.example",
            "subject-id=a=b@uni.example",
            "pairwise-id=abc=@uni.example",
            f"pairwise-id={SP}!abc=@uni.example",
            f"persistent={IDP}!{SP}!AbC=",
        ],
    )
    def test_text_form_is_read_as_it_is_written(self, text: str) -> None:
        """The text of the command line and of an export becomes the same identifier again."""
        assert str(parse_identifier_text(text)) == text

    @pytest.mark.parametrize(
        "text",
        ["", "teppo@uni.example", "EPPN=teppo@uni.example", "nick=teppo@uni.example", "persistent=AbC=", f"persistent={SP}!AbC=", "eppn="],
    )
    def test_other_text_is_refused(self, text: str) -> None:
        """Text without a known kind, or without the qualifiers of its kind, is refused."""
        with pytest.raises(InvalidIdentifier):
            parse_identifier_text(text)

    @given(st.sampled_from(IdentifierKind), st.text(), st.none() | st.text(), st.none() | st.text())
    def test_what_is_accepted_is_canonical(self, kind: IdentifierKind, text: str, home: str | None, service: str | None) -> None:
        """An identifier that was accepted is its own canonical form, survives its text form, and can be stored anywhere."""
        try:
            identifier = parse_identifier(kind, text, home, service)
        except InvalidIdentifier:
            return
        again = parse_identifier(kind, identifier.value, identifier.name_qualifier, identifier.sp_name_qualifier)

        assert again == identifier
        assert identifier.value.encode().decode() == identifier.value

    @given(st.from_regex(r"[!-?A-~åäöÅÄÖéñ]{1,20}@[a-zA-Z0-9.-]{1,20}", fullmatch=True))
    def test_case_of_an_eppn_never_matters(self, text: str) -> None:
        """However an ePPN is written in upper or lower case, it is the same identifier."""
        spellings = (text, text.lower(), text.upper(), text.swapcase())

        assert len({parse_identifier(IdentifierKind.EPPN, spelling) for spelling in spellings}) == 1

    def test_letters_that_only_fold_alike_are_different_people(self) -> None:
        """Case is all that is ignored: straße and strasse are two people, though Unicode folds them together."""
        assert parse_identifier(IdentifierKind.EPPN, "straße@uni.example") != parse_identifier(IdentifierKind.EPPN, "strasse@uni.example")


class TestEntityId:
    """entityIDs."""

    @pytest.mark.parametrize("text", [IDP, "urn:mace:example:idp", "https://sp.example.org/ääkköset"])
    def test_absolute_uris(self, text: str) -> None:
        """An absolute URI is an entityID as it is."""
        assert parse_entity_id(text) == text

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "sp.example.org",
            "/sp",
            "https:",
            ":x",
            "1https://x",
            "https://sp example",
            "https://sp!x",
            "https://sp\udcff",
            "https://" + "x" * 1017,
        ],
    )
    def test_others_are_refused(self, text: str) -> None:
        """What is no absolute URI, or would break the text form of identifiers, is refused."""
        with pytest.raises(InvalidIdentifier, match="is not an entityID"):
            parse_entity_id(text)


def test_identifiers_of_different_kinds_are_different() -> None:
    """The same value of two kinds is not the same identifier."""
    assert Identifier(IdentifierKind.EPPN, "a@b") != Identifier(IdentifierKind.SUBJECT_ID, "a@b")

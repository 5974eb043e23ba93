"""Reading metadata: what an entity is taken to be, what is left out, and what is never accepted."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from attribute_authority.domain.entity import AttributeName, Entity, Role, Scope
from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import TrustedMetadata, read_metadata
from tests.factories import metadata as make

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PAST = "2026-11-21T12:00:00Z"
SOON = "2026-11-22T00:00:00Z"
LATER = "2027-01-01T00:00:00.123456789+02:00"
SP = "https://sp.example.org/shibboleth"
IDP = "https://idp.example.org/idp"
CATEGORY = "http://refeds.org/category/research-and-scholarship"


@dataclass
class Reading:
    """What came of reading a document."""

    metadata: TrustedMetadata
    warnings: list[str] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)


def read(document: str | bytes) -> Reading:
    """Read an unsigned document that is trusted as it is."""
    warnings: list[str] = []
    metadata = read_metadata(document.encode() if isinstance(document, str) else document, None, NOW, warnings.append)
    return Reading(metadata, warnings, list(metadata.entities()))


def read_one(document: str) -> Entity:
    """Read a document in which nothing is wrong and one entity stands."""
    reading = read(document)
    (entity,) = reading.entities

    assert [] == reading.warnings
    return entity


def instant(text: str) -> datetime:
    """Return the instant of a validUntil with whole seconds."""
    return datetime.fromisoformat(text)


class TestEntities:
    """What is read of one entity."""

    def test_service_provider_in_full(self) -> None:
        """Roles, keys, requested attributes, categories and registration authority are read."""
        key = make.rsa_pair("sp")
        about = make.extensions(make.registration("http://www.csc.fi/haka"), make.entity_categories(CATEGORY, " https://x.example/c "))
        role = make.service_provider(make.key_descriptor(key, "signing"), make.requested_attributes(ns.EDU_PERSON_ORCID))
        expected = Entity(
            entity_id=read_one(make.entity(SP)).entity_id,
            roles=frozenset({Role.SERVICE_PROVIDER}),
            querying_keys=(key.public_key,),
            requested_attributes=frozenset({AttributeName(ns.EDU_PERSON_ORCID, ns.NAME_FORMAT_URI)}),
            entity_categories=frozenset({CATEGORY, "https://x.example/c"}),
            registration_authority="http://www.csc.fi/haka",
            valid_until=instant(SOON),
        )

        assert expected == read_one(make.entity(SP, about, role, valid_until=SOON))

    def test_identity_provider_has_scopes_of_entity_and_role(self) -> None:
        """Scopes stand in the Extensions of the entity or of the role, and may be regular expressions."""
        role = make.identity_provider(make.extensions(make.scope("example.org"), make.scope(r"^.+\.example\.org$", "true")))
        entity = read_one(make.entity(IDP, make.extensions(make.scope("example.org", "false"), make.scope("example.com")), role))

        assert frozenset({Role.IDENTITY_PROVIDER}) == entity.roles
        assert (Scope("example.org"), Scope("example.com"), Scope(r"^.+\.example\.org$", regexp=True)) == entity.scopes

    def test_service_provider_has_no_scopes(self) -> None:
        """Only an identity provider can claim a scope."""
        assert () == read_one(make.entity(SP, make.extensions(make.scope("example.org")), make.service_provider())).scopes

    def test_broken_scope_expression_is_left_out(self) -> None:
        """A regular expression that does not compile is reported and claims nothing."""
        reading = read(make.entity(IDP, make.identity_provider(make.extensions(make.scope("(", "true"), make.scope("example.org")))))

        assert (Scope("example.org"),) == reading.entities[0].scopes
        assert [f"{IDP}: a scope was left out"] == [warning.partition(": '(")[0] for warning in reading.warnings]

    @pytest.mark.parametrize("declaration", ["query:AttributeQueryDescriptorType", "other:AttributeQueryDescriptorType"])
    def test_attribute_querier_is_known_by_its_type_whatever_the_prefix(self, declaration: str) -> None:
        """The xsi:type is a QName: its prefix is resolved where it stands."""
        document = make.entity(SP, make.attribute_querier(make.key_descriptor(make.ec_pair("q")), xsi_type=declaration))
        entity = read_one(document.replace("<md:RoleDescriptor", f'<md:RoleDescriptor xmlns:other="{ns.QUERY_EXT}"'))

        assert frozenset({Role.ATTRIBUTE_QUERIER}) == entity.roles
        assert (make.ec_pair("q").public_key,) == entity.querying_keys

    @pytest.mark.parametrize("xsi_type", ["AttributeQueryDescriptorType", "md:AttributeQueryDescriptorType", "query:EndpointType", ""])
    def test_role_of_another_type_is_no_querier(self, xsi_type: str) -> None:
        """A type of another namespace or name gives no role and no key."""
        entity = read_one(make.entity(SP, make.attribute_querier(make.key_descriptor(make.ec_pair("q")), xsi_type=xsi_type)))

        assert (frozenset(), ()) == (entity.roles, entity.querying_keys)

    def test_role_of_another_protocol_does_not_count(self) -> None:
        """A role that does not support SAML 2.0 is no role here; one that supports it among others is."""
        old = make.service_provider(protocol="urn:oasis:names:tc:SAML:1.1:protocol")
        both = make.identity_provider(protocol=f"urn:oasis:names:tc:SAML:1.1:protocol  {ns.SAMLP}")

        assert frozenset({Role.IDENTITY_PROVIDER}) == read_one(make.entity(SP, old, both)).roles

    def test_requested_attribute_without_format_is_unspecified(self) -> None:
        """An absent NameFormat means unspecified (core 2.7.3.1)."""
        entity = read_one(make.entity(SP, make.service_provider(make.requested_attributes("urn:oid:1", "urn:oid:2", name_format=None))))

        assert {AttributeName(f"urn:oid:{n}", ns.NAME_FORMAT_UNSPECIFIED) for n in (1, 2)} == entity.requested_attributes

    def test_category_of_another_name_format_is_another_attribute(self) -> None:
        """An entity category is only what stands in the attribute with NameFormat uri (RFC 8409)."""
        entity = read_one(make.entity(SP, make.extensions(make.entity_categories(CATEGORY, name_format=None))))

        assert frozenset() == entity.entity_categories

    def test_categories_claimed_outside_the_entitys_extensions_do_not_count(self) -> None:
        """A role's own Extensions give no category and no registration authority."""
        role = make.service_provider(make.extensions(make.entity_categories(CATEGORY), make.registration("http://www.csc.fi/haka")))
        entity = read_one(make.entity(SP, role))

        assert (frozenset(), None) == (entity.entity_categories, entity.registration_authority)


class TestExpiry:
    """Expired metadata is not trusted, at whatever level it has expired."""

    @pytest.mark.parametrize("document", [make.entity(SP, valid_until=PAST), make.aggregate(make.entity(SP), valid_until=PAST)])
    def test_expired_root_is_refused(self, document: str) -> None:
        """A document whose root has expired is refused as a whole, at the very instant."""
        with pytest.raises(OperatorError, match="expired at 2026-11-21T12:00:00Z"):
            read(document)

    def test_expired_entity_is_absent(self) -> None:
        """An expired entity is left out and reported, the others are read."""
        reading = read(make.aggregate(make.entity(SP, valid_until=PAST), make.entity(IDP, valid_until=SOON)))

        assert [IDP] == [entity.entity_id for entity in reading.entities]
        assert [f"{SP} was left out: it expired at {PAST} (validUntil)"] == reading.warnings

    def test_expired_group_is_absent(self) -> None:
        """What stands in an expired group is left out, however long it says to be valid itself."""
        reading = read(make.aggregate(make.aggregate(make.entity(SP, valid_until=SOON), valid_until=PAST, xml_id=None), make.entity(IDP)))

        assert [IDP] == [entity.entity_id for entity in reading.entities]
        assert 1 == len(reading.warnings)

    def test_expired_role_is_absent(self) -> None:
        """An expired role gives neither the role nor its keys."""
        role = make.service_provider(make.key_descriptor(make.ec_pair("s")), valid_until=PAST)
        reading = read(make.entity(SP, role, make.identity_provider()))
        (entity,) = reading.entities

        assert (frozenset({Role.IDENTITY_PROVIDER}), ()) == (entity.roles, entity.querying_keys)
        assert [f"{SP}: a role was left out: it expired at {PAST} (validUntil)"] == reading.warnings

    @pytest.mark.parametrize(
        ("outer", "inner", "own", "role"),
        [(SOON, LATER, LATER, LATER), (LATER, SOON, LATER, LATER), (LATER, LATER, SOON, LATER), (LATER, LATER, LATER, SOON)],
        ids=["root", "group", "entity", "role"],
    )
    def test_entity_is_valid_as_long_as_all_that_encloses_it(self, outer: str, inner: str, own: str, role: str) -> None:
        """The earliest of all instants counts, wherever it stands."""
        entity = make.entity(SP, make.service_provider(valid_until=role), valid_until=own)
        document = make.aggregate(make.aggregate(entity, valid_until=inner, xml_id=None), valid_until=outer)

        assert instant(SOON) == read_one(document).valid_until

    def test_instant_without_zone_is_in_utc(self) -> None:
        """SAML instants are in UTC (core 1.3.3)."""
        assert instant(SOON) == read_one(make.entity(SP, valid_until="2026-11-22T00:00:00")).valid_until

    @pytest.mark.parametrize(
        "text", ["", "tomorrow", "2027-01-01", "2027-02-30T00:00:00Z", "20270101T000000Z", "2027-01-01T00:00:00+99:00"]
    )
    def test_unreadable_instant_is_not_trusted(self, text: str) -> None:
        """A validUntil that is no instant leaves the entity out; at the root it refuses the document."""
        reading = read(make.aggregate(make.entity(SP, valid_until=text)))

        assert [] == reading.entities
        assert 1 == len(reading.warnings)
        with pytest.raises(OperatorError, match="is not an instant"):
            read(make.entity(SP, valid_until=text))


class TestAffiliations:
    """Who shares persistent identifiers with whom."""

    def test_members_are_read(self) -> None:
        """An affiliation lists its members and is no entity itself."""
        group = make.affiliation("https://group.example.org", SP, f" {IDP}<!-- comment -->/x ", valid_until=SOON)
        reading = read(make.aggregate(make.entity(SP), group))
        (affiliation,) = reading.metadata.affiliations()

        assert [SP] == [entity.entity_id for entity in reading.entities]
        assert "https://group.example.org" == affiliation.affiliation_id
        assert frozenset({SP, f"{IDP}/x"}) == affiliation.members
        assert instant(SOON) == affiliation.valid_until

    @pytest.mark.parametrize(("until", "expires"), [(PAST, None), (None, PAST)], ids=["entity", "descriptor"])
    def test_expired_affiliation_lists_nobody(self, until: str | None, expires: str | None) -> None:
        """An affiliation that has expired is left out and reported once."""
        reading = read(make.aggregate(make.affiliation("https://group.example.org", SP, valid_until=until, expires=expires)))

        assert [] == list(reading.metadata.affiliations())
        assert 1 == len(reading.warnings)


class TestDocuments:
    """What is a metadata document at all."""

    def test_nested_groups_are_read_in_order(self) -> None:
        """Entities may stand in groups within groups."""
        ids = [f"https://sp{n}.example.org" for n in range(4)]
        inner = make.aggregate(make.entity(ids[1]), make.aggregate(make.entity(ids[2]), xml_id=None), xml_id="_inner")

        assert ids == [entity.entity_id for entity in read(make.aggregate(make.entity(ids[0]), inner, make.entity(ids[3]))).entities]

    def test_duplicate_entity_id_is_refused(self) -> None:
        """Of two entities with one entityID the first counts; nothing of the second is taken over."""
        first = make.entity(SP, make.service_provider(make.key_descriptor(make.ec_pair("first"))))
        second = make.entity(SP, make.service_provider(make.key_descriptor(make.ec_pair("second"))), xml_id="_second")
        reading = read(make.aggregate(first, second))

        assert [(make.ec_pair("first").public_key,)] == [entity.querying_keys for entity in reading.entities]
        assert [f"{SP}: a further EntityDescriptor with this entityID was left out"] == reading.warnings

    @pytest.mark.parametrize("entity_id", ["", "sp", "https://a b.example", "x:" + "y" * 1024])
    def test_entity_with_an_impossible_entity_id_is_left_out(self, entity_id: str) -> None:
        """An entityID that is no absolute URI of at most 1024 characters is reported, the other entities are read."""
        reading = read(make.aggregate(make.entity(entity_id), make.entity(SP)))

        assert [SP] == [entity.entity_id for entity in reading.entities]
        assert 1 == len(reading.warnings)

    @pytest.mark.parametrize(
        ("document", "reason"),
        [
            (b"", "not well-formed XML"),
            (b"<!DOCTYPE html><html><body>Sign in</body></html>", "DOCTYPE"),
            (b"<html><body>Sign in</body></html>", "root element is html"),
            (b"<html><body>Sign in<br></body></html>", "not well-formed XML"),
            (make.aggregate(make.entity(SP)).encode()[:-20], "not well-formed XML"),
            (b"\x1f\x8b\x08 gzip", "not well-formed XML"),
            (f'<EntityDescriptor entityID="{SP}"/>'.encode(), "root element is EntityDescriptor"),
        ],
        ids=["empty", "html with a type", "html", "tag soup", "truncated", "compressed", "no namespace"],
    )
    def test_what_is_not_metadata_is_refused(self, document: bytes, reason: str) -> None:
        """Anything but well-formed metadata raises a fault that says what was found."""
        with pytest.raises(OperatorError, match=reason):
            read(document)

    @pytest.mark.parametrize(
        "subset",
        [
            "",
            f'[<!ENTITY sp "{SP}">]',
            '[<!ENTITY file SYSTEM "file:///etc/passwd">]',
            '[<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]',
            "[<!ATTLIST md:EntityDescriptor ID ID #IMPLIED>]",
        ],
        ids=["empty", "internal entity", "external entity", "entity bomb", "attribute list"],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_document_type_is_refused(self, subset: str, encoding: str) -> None:
        """A DOCTYPE is refused whatever it declares and however it is encoded."""
        document = f"<!DOCTYPE md:EntityDescriptor {subset}>{make.entity(SP)}"

        with pytest.raises(OperatorError, match="DOCTYPE"):
            read(document.encode(encoding))

    def test_entity_bomb_in_an_attribute_is_refused(self) -> None:
        """Attributes are where a parser expands entities by itself: a thousand million characters of entityID are not waited for."""
        levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        document = f'<!DOCTYPE x [<!ENTITY e0 "https://x">{levels}]>{make.entity(SP).replace(SP, "&e9;")}'

        with pytest.raises(OperatorError, match=r"DOCTYPE|amplification"):
            read(document)

    @pytest.mark.parametrize("attribute", ["ID", "Id", "id", "xml:id"])
    def test_repeated_id_is_refused(self, attribute: str) -> None:
        """An ID that occurs twice, under whatever name of the attribute, could make a signature point elsewhere."""
        document = make.aggregate(make.entity(SP), xml_id="_same").replace(
            "<md:EntityDescriptor", f'<md:EntityDescriptor {attribute}="_same"'
        )

        with pytest.raises(OperatorError, match="'_same' occurs twice"):
            read(document)

    def test_deep_nesting_is_refused(self) -> None:
        """Ten thousand groups within each other end the parse, not the process."""
        open_tag = f'<md:EntitiesDescriptor xmlns:md="{ns.MD}">'

        with pytest.raises(OperatorError, match="not well-formed XML"):
            read(open_tag * 10_000 + "</md:EntitiesDescriptor>" * 10_000)

    def test_clock_decides(self) -> None:
        """The same document is read a second before it expires."""
        document = make.entity(SP, valid_until=PAST).encode()
        warnings: list[str] = []
        entities = list(read_metadata(document, None, NOW - timedelta(seconds=1), warnings.append).entities())

        assert [SP] == [entity.entity_id for entity in entities]

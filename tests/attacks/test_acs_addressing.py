"""Responses that were meant for somebody else, for another request, or for another time."""

from datetime import timedelta

import pytest

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import SignInFailed, SignInRefused
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.response_profile import MAX_AGE
from tests.factories.queries import instant, signed
from tests.factories.responses import (
    ACS,
    NOW,
    OTHER_IDP,
    REQUEST,
    SKEW,
    SP,
    SUCCESS,
    accept,
    assertion,
    audience,
    authn_statement,
    begun,
    conditions,
    confirmation,
    encoded,
    encrypted,
    good_response,
    idp_keys,
    name_id,
    response,
    sign_in,
    subject,
)

OTHER_SP = "https://wiki.example.org/shibboleth"
OTHER_ACS = "https://wiki.example.org/Shibboleth.sso/SAML2/POST"
SECOND = timedelta(seconds=1)
TOO_OLD = MAX_AGE + SKEW + SECOND


def in_response(*attributes: str, about: str | None = None, holds: str | None = None, authenticated: str | None = None) -> str:
    """Write a signed Response around an Assertion."""
    return signed(response(assertion(*attributes, about=about, holds=holds, authenticated=authenticated)), idp_keys())


def bearing(*confirmations: str) -> str:
    """Write a signed Response whose Subject has these confirmations."""
    return in_response(about=subject(name_id(), *confirmations))


class TestSomebodyElse:
    """What was made for another service provider."""

    def test_response_for_another_service_provider(self) -> None:
        """A good Response that a service received, or took, does not sign its subject in here."""
        about = subject(name_id(sp_name_qualifier=OTHER_SP), confirmation(recipient=OTHER_ACS, in_response_to="_theirs"))
        stolen = assertion(about=about, holds=conditions(audience(OTHER_SP)))
        document = signed(response(stolen, destination=OTHER_ACS, in_response_to="_theirs"), idp_keys())

        with pytest.raises(SignInFailed, match="another request"):
            accept(document)

    def test_assertion_for_another_service_provider_in_a_response_of_the_attacker(self) -> None:
        """A signed Assertion for another service, put into a Response of the attacker's own, is refused by itself."""
        about = subject(name_id(), confirmation(recipient=OTHER_ACS, in_response_to="_theirs"))
        stolen = signed(assertion(about=about, holds=conditions(audience(OTHER_SP))), idp_keys())

        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            accept(response(stolen))

    @pytest.mark.parametrize(
        "holds",
        [
            conditions(audience(OTHER_SP)),
            conditions(audience(SP), audience(OTHER_SP)),
            conditions(audience()),
            conditions(audience(f"{SP}/")),
            conditions(audience(SP.upper())),
            conditions(""),
            conditions("<saml:OneTimeUse/>"),
        ],
        ids=["other", "both must hold", "nobody", "slash", "case", "none", "only OneTimeUse"],
    )
    def test_wrong_audience(self, holds: str) -> None:
        """Every AudienceRestriction must name us, and there must be one."""
        with pytest.raises(SignInFailed, match="not meant for us"):
            accept(in_response(holds=holds))

    def test_one_of_several_audiences(self) -> None:
        """It is enough to be one of those whom a restriction names (core 2.5.1.4)."""
        assert "_assertion" == accept(in_response(holds=conditions(audience(OTHER_SP, SP)))).assertion_id

    def test_unknown_condition(self) -> None:
        """A condition that is not understood makes an assertion unusable (core 2.5.1)."""
        unknown = '<saml:Condition xmlns:x="urn:x" xsi:type="x:Delegated"/>'

        with pytest.raises(SignInFailed, match="conditions that are not known"):
            accept(in_response(holds=conditions(audience(SP), unknown)))

    @pytest.mark.parametrize("destination", [OTHER_ACS, None, "", f"{ACS}/", f"{ACS}?x=1", ACS.upper()])
    def test_wrong_destination_of_a_signed_response(self, destination: str | None) -> None:
        """A signed Response says where it was sent, and that is here (bindings 3.5.5.2)."""
        with pytest.raises(SignInFailed, match="Destination"):
            accept(signed(response(assertion(), destination=destination), idp_keys()))

    def test_wrong_destination_of_an_unsigned_response(self) -> None:
        """A Destination is looked at wherever there is one."""
        with pytest.raises(SignInFailed, match="Destination"):
            accept(response(signed(assertion(), idp_keys()), destination=OTHER_ACS))

    def test_no_destination_of_an_unsigned_response(self) -> None:
        """A Response that is not signed itself need not have a Destination."""
        assert accept(response(signed(assertion(), idp_keys()), destination=None)).assertion_id == "_assertion"

    @pytest.mark.parametrize(
        "confirmed",
        [
            confirmation(recipient=OTHER_ACS),
            confirmation(recipient=None),
            confirmation(recipient=SP),
            confirmation(in_response_to="_other"),
            confirmation(in_response_to=None),
            confirmation(ns.CM_SENDER_VOUCHES),
            confirmation(ns.CM_HOLDER_OF_KEY),
            f'<saml:SubjectConfirmation Method="{ns.CM_BEARER}"/>',
            "",
        ],
        ids=["recipient", "no recipient", "entityID", "other request", "no request", "vouched", "holder of key", "no data", "none"],
    )
    def test_confirmation_that_does_not_fit(self, confirmed: str) -> None:
        """Somebody confirmed for another place, for another request or by other means is not signed in (profiles 4.1.4.3)."""
        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            accept(bearing(confirmed))

    def test_halves_of_two_confirmations(self) -> None:
        """One confirmation must fit as a whole."""
        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            accept(bearing(confirmation(recipient=OTHER_ACS), confirmation(in_response_to="_other")))


class TestAnotherRequest:
    """What answers something else than what was begun."""

    def test_unsolicited(self) -> None:
        """A Response that answers no request is refused before anything is looked up (login CSRF)."""
        document = signed(response(assertion(), in_response_to=None), idp_keys())

        with pytest.raises(SignInFailed, match="answers no request"):
            sign_in().in_response_to(encoded(document))
        with pytest.raises(SignInFailed, match="answers no request"):
            accept(document)

    def test_what_a_response_claims_to_answer(self) -> None:
        """The claim is read without any check, to find what was begun."""
        assert REQUEST == sign_in().in_response_to(encoded(response()))

    def test_request_of_another_sign_in(self) -> None:
        """A Response to another request than this browser's is refused."""
        with pytest.raises(SignInFailed, match="another request"):
            sign_in().accept(encoded(good_response()), begun("_mine"), NOW)

    def test_confirmation_of_another_sign_in_in_a_response_of_the_attacker(self) -> None:
        """An unsigned Response may claim any request; the signed Assertion says which one it really answers."""
        stolen = signed(assertion(), idp_keys())
        document = response(stolen, in_response_to="_mine")

        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            sign_in().accept(encoded(document), begun("_mine"), NOW)

    def test_another_identity_provider_was_asked(self) -> None:
        """A Response of an identity provider that was not asked is refused."""
        with pytest.raises(SignInFailed, match="asked was"):
            sign_in().accept(encoded(good_response()), begun(identity_provider=OTHER_IDP), NOW)

    def test_identity_provider_that_names_itself_in_a_look_alike(self) -> None:
        """Entity identifiers compare exactly."""
        with pytest.raises(SignInFailed, match="asked was"):
            accept(good_response().replace("https://idp.uni.example/idp<", "https://IDP.uni.example/idp<", 1))


class TestAnotherTime:
    """What is not of now."""

    @pytest.mark.parametrize("late", [TOO_OLD, timedelta(days=1), timedelta(days=4000)])
    def test_stale(self, late: timedelta) -> None:
        """A Response is of use for some minutes."""
        with pytest.raises(SignInFailed, match="not of now"):
            accept(good_response(), NOW + late)

    def test_stale_assertion_in_a_fresh_response(self) -> None:
        """An old Assertion in a Response of now is refused, though its confirmation is good for ever."""
        about = subject(name_id(), confirmation(until="9999-12-31T23:59:59Z"))
        old = assertion(about=about, holds=conditions(until="9999-12-31T23:59:59Z"), issued=instant(NOW - TOO_OLD))

        with pytest.raises(SignInFailed, match="of the Assertion is not of now"):
            accept(response(signed(old, idp_keys())))

    def test_from_the_future(self) -> None:
        """An IssueInstant ahead of us by more than the clocks may differ is refused."""
        with pytest.raises(SignInFailed, match="not of now"):
            accept(good_response(), NOW - SKEW - SECOND)

    @pytest.mark.parametrize("ago", [SKEW, SKEW + timedelta(hours=1)])
    def test_expired_confirmation(self, ago: timedelta) -> None:
        """A confirmation ends at NotOnOrAfter, give or take the skew."""
        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            accept(bearing(confirmation(until=instant(NOW - ago))))

    def test_confirmation_without_end(self) -> None:
        """A bearer confirmation must end (profiles 4.1.4.2)."""
        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            accept(bearing(confirmation(until=None)))

    def test_confirmation_with_a_beginning(self) -> None:
        """A bearer confirmation must not have a NotBefore (profiles 4.1.4.2)."""
        with pytest.raises(SignInFailed, match="no bearer confirmation"):
            accept(bearing(confirmation(not_before=instant(NOW))))

    def test_expired_conditions(self) -> None:
        """Conditions end at NotOnOrAfter, give or take the skew."""
        with pytest.raises(SignInFailed, match=r"NotOnOrAfter .* has passed"):
            accept(in_response(holds=conditions(until=instant(NOW - SKEW))))

    def test_not_yet_valid(self) -> None:
        """Conditions begin at NotBefore, give or take the skew."""
        with pytest.raises(SignInFailed, match="not valid before"):
            accept(in_response(holds=conditions(not_before=instant(NOW + SKEW + SECOND))))

    def test_session_that_is_over(self) -> None:
        """A session that the identity provider has ended signs nobody in."""
        with pytest.raises(SignInFailed, match="SessionNotOnOrAfter"):
            accept(in_response(authenticated=authn_statement(instant(NOW - SKEW))))

    def test_clocks_may_differ(self) -> None:
        """All of it holds with a clock that is ahead or behind by the skew."""
        document = in_response(
            about=subject(name_id(), confirmation(until=instant(NOW + SECOND))),
            holds=conditions(not_before=instant(NOW), until=instant(NOW + SECOND)),
            authenticated=authn_statement(instant(NOW + SECOND)),
        )

        assert ["_assertion"] * 2 == [accept(document, at).assertion_id for at in (NOW - SKEW, NOW + SKEW)]

    @pytest.mark.parametrize("written", ["", "now", "2026-03-01T12:00:00", "2026-03-01T12:00:00+00:00", "2026-02-30T12:00:00Z", "1" * 999])
    def test_instant_that_is_none(self, written: str) -> None:
        """An instant that cannot be read, or is not in UTC, is refused (core 1.3.3)."""
        with pytest.raises(SignInFailed, match="expected a UTC instant"):
            accept(signed(response(assertion(), issued=written), idp_keys()))

    def test_record_of_the_assertion_outlives_its_use(self) -> None:
        """An assertion is refused as too old from the instant on until which its ID is to be remembered."""
        expires_at = accept(good_response()).expires_at

        assert NOW + MAX_AGE + SKEW == expires_at
        with pytest.raises(SignInFailed):
            accept(good_response(), expires_at + SECOND)


class TestOutcome:
    """What is no success."""

    @pytest.mark.parametrize("is_signed", [True, False])
    def test_refusal_of_the_home_organisation(self, is_signed: bool) -> None:
        """A Status other than Success is a refusal, with or without signature."""
        status = f'<samlp:Status><samlp:StatusCode Value="{ns.STATUS_RESPONDER}">'
        status += '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"/></samlp:StatusCode></samlp:Status>'
        document = response(status=status)

        with pytest.raises(SignInRefused, match=r"Responder .*AuthnFailed"):
            accept(signed(document, idp_keys()) if is_signed else document)

    def test_refusal_by_the_wrong_key(self) -> None:
        """A signature is verified wherever there is one."""
        status = f'<samlp:Status><samlp:StatusCode Value="{ns.STATUS_RESPONDER}"/></samlp:Status>'

        with pytest.raises(SignInFailed, match="verifies with none"):
            accept(signed(response(status=status), idp_keys()).replace("Responder", "Requester"))

    @pytest.mark.parametrize(
        "status",
        [
            SUCCESS.replace("Success", "success"),
            f'<samlp:Status><samlp:StatusCode Value="{ns.STATUS_RESPONDER}">{SUCCESS[14:-15]}</samlp:StatusCode></samlp:Status>',
        ],
        ids=["case", "second level"],
    )
    def test_assertion_beside_a_failure(self, status: str) -> None:
        """Only the top status code says Success, and without it an assertion counts for nothing."""
        with pytest.raises(SignInRefused):
            accept(signed(response(assertion(), status=status), idp_keys()))

    def test_success_without_assertion(self) -> None:
        """Success alone signs nobody in."""
        with pytest.raises(SignInFailed, match="holds no assertion"):
            accept(signed(response(), idp_keys()))

    @pytest.mark.parametrize("statements", ["", authn_statement() * 2])
    def test_not_one_authentication(self, statements: str) -> None:
        """An Assertion says once how somebody was authenticated; one of attributes alone signs nobody in."""
        with pytest.raises(SignInFailed, match="not one AuthnStatement"):
            accept(in_response(authenticated=statements))

    @pytest.mark.parametrize("version", ["1.1", "2.1", "3.0", ""])
    def test_other_versions(self, version: str) -> None:
        """Only SAML 2.0 is understood."""
        for document in (response(assertion(), version=version), response(assertion(version=version))):
            with pytest.raises(SignInFailed, match="version"):
                accept(signed(document, idp_keys()))

    def test_what_is_encrypted_is_judged_alike(self) -> None:
        """Every rule holds for an assertion that was encrypted."""
        foreign = assertion(holds=conditions(audience(EntityId(OTHER_SP))))

        with pytest.raises(SignInFailed, match="not meant for us"):
            accept(signed(response(encrypted(foreign)), idp_keys()))

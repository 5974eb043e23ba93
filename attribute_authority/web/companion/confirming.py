"""The confirmation: which iD it is, whose, who will receive it; stored by a POST with consent and nothing else."""

from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import Final
from urllib.parse import urlencode

from werkzeug import Response

from attribute_authority.core.linking import Plan
from attribute_authority.domain.linking import Consent, LinkingKind
from attribute_authority.errors import FormOver, OrcidTaken
from attribute_authority.web.companion.connecting import PendingProposal
from attribute_authority.web.companion.consent import consent_version
from attribute_authority.web.companion.front import identifier_of, shown, shown_from_home
from attribute_authority.web.companion.sealed_states import SealedStates
from attribute_authority.web.companion.sessions import Session
from attribute_authority.web.companion.views import Confirm, Notice, ShownOrcid
from attribute_authority.web.companion.visit import Visit

_YES: Final = "yes"
_DONE: Final = {LinkingKind.NEW: Notice.LINKED, LinkingKind.REPLACE: Notice.REPLACED, LinkingKind.REFRESH: Notice.REFRESHED}


@dataclass(frozen=True, slots=True)
class Confirming:
    """The steps of the confirmation."""

    proposals: SealedStates[PendingProposal]

    def show(self, visit: Visit, grant_id: str) -> Response:
        """`GET /confirm/…`: show what is to be confirmed. Raises SessionOver, FormOver, OrcidTaken, SubjectsDiffer, CouldNotAsk."""
        session = visit.signed_in()
        pending = self._find(visit, session, grant_id)
        if pending is None:
            return _over(visit, session)
        return visit.show(_page(visit, session, pending, self._plan(visit, session, pending)))

    def confirm(self, visit: Visit, grant_id: str) -> Response:
        """`POST /confirm/…`: store link, consent and token in one transaction. Raises as `show`."""
        session = visit.check_form()
        pending = self._find(visit, session, grant_id)
        if pending is None:
            return _over(visit, session)
        plan = self._plan(visit, session, pending)
        form = visit.request.form
        # A tick to replace means the iD that the page showed, and no other that was linked since; consent is to the text that it showed.
        version = consent_version(delivers=visit.parts.delivering.delivers_to(session.person.home_organisation))
        agreed_to = {name: visit.request.args.get(name) for name in ("text", "replaces")}
        agreed = form.get("consent") == _YES and (plan.replaces is None or form.get("replace") == _YES)
        if agreed_to != _terms(version, plan):
            return visit.show(_page(visit, session, pending, plan), 422)
        if not agreed:
            shown_again = replace(
                _page(visit, session, pending, plan),
                consent_missing=True,
                has_consent=form.get("consent") == _YES,
                has_replace=form.get("replace") == _YES,
            )
            return visit.show(shown_again, 422)
        consent = Consent(version, visit.language, visit.parts.clock())
        visit.parts.linking.complete(session.person, pending.proposal, plan, consent)
        self.proposals.take(grant_id, consent.given_at)
        visit.event.outcome = _DONE[plan.kind].value
        return visit.go(f"/?done={_DONE[plan.kind]}")

    def decline(self, visit: Visit, grant_id: str) -> Response:
        """`POST /decline/…`: give the permission back to ORCID. Raises SessionOver, FormOver, CouldNotAsk."""
        session = visit.check_form()
        pending = self._find(visit, session, grant_id)
        if pending is None:
            return _over(visit, session)
        self._give_up(visit, pending)
        visit.event.outcome = Notice.DECLINED.value
        return visit.go(f"/?done={Notice.DECLINED}")

    def _find(self, visit: Visit, session: Session, grant_id: str) -> PendingProposal | None:
        pending = self.proposals.read(grant_id, visit.parts.clock())
        return pending if pending is not None and compare_digest(pending.session, session.reference) else None

    def _plan(self, visit: Visit, session: Session, pending: PendingProposal) -> Plan:
        visit.event.home_organisation = session.person.home_organisation
        visit.event.subject = visit.parts.pseudonyms.of(str(session.person.identifiers[0]))
        try:
            return visit.parts.linking.plan(session.person, pending.proposal.orcid, visit.parts.clock())
        except OrcidTaken:
            self._give_up(visit, pending)
            raise

    def _give_up(self, visit: Visit, pending: PendingProposal) -> None:
        now = visit.parts.clock()
        visit.parts.linking.decline(pending.proposal, now)
        self.proposals.take(pending.proposal.grant_id, now)


def _over(visit: Visit, session: Session) -> Response:
    """Answer for a proposal that is not there any more: sent twice, or by way of the back button. Raises FormOver, CouldNotAsk."""
    standing = visit.parts.linking.recognise(session.person, visit.parts.clock())
    if standing is None or standing.link is None:
        raise FormOver("there is no such proposal in this session")
    return visit.go("/")


def _terms(version: str, plan: Plan) -> dict[str, str | None]:
    """Return what of a page its form tells again: the text that is agreed to, and the iD that is replaced."""
    return {"text": version, "replaces": None if plan.replaces is None else str(plan.replaces)}


def _page(visit: Visit, session: Session, pending: PendingProposal, plan: Plan) -> Confirm:
    person, proposal = session.person, pending.proposal
    delivers = visit.parts.delivering.delivers_to(person.home_organisation)
    terms = {name: value for name, value in _terms(consent_version(delivers=delivers), plan).items() if value is not None}
    return Confirm(
        kind=plan.kind,
        orcid=ShownOrcid(proposal.orcid.uri(visit.parts.linking.environment)),
        orcid_name=proposal.name,
        person=person.name,
        organisation=visit.organisation(person.home_organisation),
        identifier=identifier_of(person),
        present=None if plan.present is None else shown(plan.present, is_confirmed=plan.is_confirmed),
        home_orcid=shown_from_home(visit, person.orcid if person.orcid != proposal.orcid else None),
        recipients=visit.recipients(person.home_organisation),
        scopes=proposal.scopes,
        sign_out_url=visit.parts.registry.sign_out_url,
        action=f"/confirm/{proposal.grant_id}?{urlencode(terms)}",
        decline_action=f"/decline/{proposal.grant_id}",
        consent_missing=False,
        delivers=delivers,
    )

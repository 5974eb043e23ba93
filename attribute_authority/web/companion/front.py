"""The pages that begin and end everything: start, home, signed out, what went wrong, our metadata."""

import re
from datetime import datetime
from typing import Final

from werkzeug import Response

from attribute_authority.domain.identifiers import OrcidId
from attribute_authority.domain.link import Link, LinkSource
from attribute_authority.domain.linking import Revocation, SignedIn, Standing
from attribute_authority.web.companion.consent import covers_deliveries
from attribute_authority.web.companion.problems import problem_address, problem_page
from attribute_authority.web.companion.sessions import Session
from attribute_authority.web.companion.views import (
    Home,
    LinkedOrcid,
    Notice,
    ProblemKind,
    RevocationProgress,
    ShownOrcid,
    SignedOut,
    Start,
)
from attribute_authority.web.companion.visit import Visit

_REFERENCE: Final = re.compile(r"[0-9a-f]{12}")
_METADATA: Final = "application/samlmetadata+xml"
UNDER_WAY: Final = "Deliveries-Under-Way"
"""The header of `/deliveries` that says whether anything can still change: yes or no."""


def front(visit: Visit) -> Response:
    """`GET /`: what this is, for whoever is not signed in; how the person stands, for whoever is."""
    if visit.session is None:
        return visit.show(Start("/login", visit.recipients(None), delivers=bool(visit.parts.delivering.destinations)))
    return visit.show(_home(visit, visit.session, visit.parts.clock()))


def deliveries(visit: Visit) -> Response:
    """`GET /deliveries`: the part of the home page that tells how deliveries fare. Raises SessionOver, SubjectsDiffer, CouldNotAsk."""
    person = visit.signed_in().person
    standing = visit.parts.linking.recognise(person, visit.parts.clock())
    told = visit.deliveries(person.home_organisation, standing)
    response = visit.show(told) if told is not None else Response(content_type="text/html; charset=utf-8")
    response.headers[UNDER_WAY] = "yes" if told is not None and told.are_under_way else "no"
    return response


def live(visit: Visit) -> Response:
    """`GET /deliveries/live` of somebody who cannot take a stream of events; the door serves everybody else."""
    return visit.go("/")


def signed_out(visit: Visit) -> Response:
    """`GET /signed-out`."""
    return visit.show(SignedOut("/"))


def sign_out(visit: Visit) -> Response:
    """`POST /logout`: end the session here; the one at the home organisation is not ours."""
    response = visit.go("/signed-out")
    if visit.session is None:
        # The form of another site comes without the cookie, and may not take it away.
        return response
    visit.check_form()
    visit.parts.sessions.end(visit.parts.cookies.session(visit.request), visit.parts.clock())
    visit.parts.cookies.end_session(response)
    return response


def problem(visit: Visit, kind: str) -> Response:
    """`GET /problem/…`: the words for something that went wrong, once more, as in another language."""
    if kind not in set(ProblemKind):
        return visit.show(problem_page(ProblemKind.NOT_FOUND, None), 404, problem_address(ProblemKind.NOT_FOUND, None))
    reference = visit.request.args.get("reference", "")
    known = reference if _REFERENCE.fullmatch(reference) else None
    at = visit.request.path if known is None else f"{visit.request.path}?reference={known}"
    return visit.show(problem_page(ProblemKind(kind), known), languages_at=at)


def metadata(visit: Visit) -> Response:
    """`GET /metadata`: what we publish about ourselves."""
    return Response(visit.parts.metadata, content_type=_METADATA)


def identifier_of(person: SignedIn) -> str:
    """Return the identifier by which a person knows themselves: the first that was accepted."""
    return person.identifiers[0].value


def shown_from_home(visit: Visit, orcid: OrcidId | None) -> ShownOrcid | None:
    """Return an iD that the home organisation sent as it is displayed: nobody has confirmed it here."""
    return None if orcid is None else ShownOrcid(orcid.uri(visit.parts.linking.environment), is_authenticated=False)


def shown(link: Link, *, is_confirmed: bool) -> ShownOrcid:
    """Return the iD of a link as it is displayed."""
    return ShownOrcid(link.orcid.uri(link.environment), is_confirmed)


def _home(visit: Visit, session: Session, now: datetime) -> Home:
    person = session.person
    standing = visit.parts.linking.recognise(person, now)
    link = None if standing is None else _linked(standing)
    withdrawn = None if standing is None or link is not None else standing.withdrawn
    differing = person.orcid if standing is None or standing.link is None or standing.link.orcid != person.orcid else None
    return Home(
        organisation=visit.organisation(person.home_organisation),
        identifier=identifier_of(person),
        notice=_notice(visit, is_linked=link is not None),
        link=link,
        home_orcid=shown_from_home(visit, differing),
        recipients=visit.recipients(person.home_organisation),
        connect_url="/orcid/authorize",
        replace_url="/orcid/authorize?prompt=login",
        unlink_url="/unlink",
        withdrawn=None if withdrawn is None else shown(withdrawn, is_confirmed=withdrawn.source is LinkSource.COMPANION),
        withdrawn_at=None if withdrawn is None else withdrawn.withdrawn_at,
        revocation=None if withdrawn is None or standing is None else _progress(standing.revocation),
        deliveries=visit.deliveries(person.home_organisation, standing),
        # The stream speaks the language of its page, whichever is chosen in another window.
        live_url=f"/deliveries/live?lang={visit.language}",
    )


def _linked(standing: Standing) -> LinkedOrcid | None:
    link, consent = standing.link, standing.consent
    if link is None:
        return None
    return LinkedOrcid(
        shown(link, is_confirmed=standing.is_confirmed),
        link.linked_at,
        link.source.value,
        None if consent is None else consent.given_at,
        standing.scopes,
        consent is not None and covers_deliveries(consent.text_version),
    )


def _notice(visit: Visit, *, is_linked: bool) -> Notice | None:
    told = visit.request.args.get("done", "")
    if told not in set(Notice):
        return None
    # Whoever makes up an address cannot make the page claim what is not so.
    needs_link = told in (Notice.LINKED, Notice.REPLACED, Notice.REFRESHED)
    return Notice(told) if is_linked == needs_link or told == Notice.DECLINED else None


def _progress(revocation: Revocation | None) -> RevocationProgress | None:
    if revocation is None:
        return None
    if revocation.revoked_at is not None:
        return RevocationProgress.DONE
    return RevocationProgress.WAITING if revocation.failures else RevocationProgress.DUE

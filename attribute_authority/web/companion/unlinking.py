"""Unlinking: the link is withdrawn at once and released to nobody from then on; ORCID is told as soon as it can be reached."""

from werkzeug import Response

from attribute_authority.domain.linking import Standing
from attribute_authority.errors import FormOver
from attribute_authority.web.companion.front import shown
from attribute_authority.web.companion.sessions import Session
from attribute_authority.web.companion.views import Notice, Unlink
from attribute_authority.web.companion.visit import Visit


def ask(visit: Visit) -> Response:
    """`GET /unlink`: ask once more. Raises SubjectsDiffer, CouldNotAsk."""
    if visit.session is None:
        return visit.go("/login?to=unlink")
    standing = _standing(visit, visit.session)
    if standing is None or standing.link is None:
        return visit.go("/")
    link = standing.link
    delivers = visit.parts.delivering.delivers_to(link.home_organisation)
    return visit.show(Unlink(shown(link, is_confirmed=standing.is_confirmed), link.link_id, "/unlink", "/", delivers))


def unlink(visit: Visit) -> Response:
    """`POST /unlink`: withdraw the link that the page showed. Raises SessionOver, FormOver, SubjectsDiffer, CouldNotAsk."""
    session = visit.check_form()
    standing = _standing(visit, session)
    if standing is None or standing.link is None:
        # Sent twice, or unlinked in another window: what was asked for is so.
        return visit.go(f"/?done={Notice.UNLINKED}")
    if visit.request.form.get("link") != str(standing.link.link_id):
        raise FormOver("another iD has been linked since the page was shown")
    visit.parts.linking.withdraw(standing.link, visit.parts.clock())
    visit.event.outcome = Notice.UNLINKED.value
    return visit.go(f"/?done={Notice.UNLINKED}")


def _standing(visit: Visit, session: Session) -> Standing | None:
    visit.event.home_organisation = session.person.home_organisation
    visit.event.subject = visit.parts.pseudonyms.of(str(session.person.identifiers[0]))
    return visit.parts.linking.recognise(session.person, visit.parts.clock())

"""What a link store tells of iDs that were withdrawn; a back end proves itself with a subclass and a fixture `links`."""

from attribute_authority.ports import LinkStore
from tests.conformance.samples import CARBERRY, HOME, MAIJA, NOW, OTHER_HOME, OTHER_ORCID, PRODUCTION, SANDBOX, TEPPO, new_link


class WithdrawnConformance:
    """Whether an iD was withdrawn at a home organisation, whoever it was linked to."""

    def test_withdrawn_is_what_somebody_withdrew_and_nobody_has_now(self, links: LinkStore) -> None:
        """From the withdrawal on until it is linked again; an iD that never was linked is not withdrawn."""
        link = links.add_link(new_link(TEPPO))
        told = [links.is_withdrawn(CARBERRY, HOME, PRODUCTION)]
        links.withdraw_link(link.link_id, NOW)
        told.append(links.is_withdrawn(CARBERRY, HOME, PRODUCTION))
        links.add_link(new_link(MAIJA))
        told.append(links.is_withdrawn(CARBERRY, HOME, PRODUCTION))

        assert [False, True, False] == told
        assert not links.is_withdrawn(OTHER_ORCID, HOME, PRODUCTION)

    def test_withdrawal_is_one_of_its_home_organisation_and_environment(self, links: LinkStore) -> None:
        """What was withdrawn at one home organisation, or in the sandbox, says nothing about others."""
        links.withdraw_link(links.add_link(new_link(TEPPO)).link_id, NOW)

        assert not links.is_withdrawn(CARBERRY, OTHER_HOME, PRODUCTION)
        assert not links.is_withdrawn(CARBERRY, HOME, SANDBOX)

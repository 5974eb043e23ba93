"""The invented people and home organisations of the demo federation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from attribute_authority.keys import FreshKey

Names = Mapping[str, str]
"""A name by language: fi, sv and en."""


@dataclass(frozen=True, slots=True)
class Person:
    """A researcher. `login` is the part before the scope; `scope` is None for that of the home organisation.

    `orcid` is the iD that the home organisation itself releases, as a URI. `note` says by language what is special about the person.
    `releases_identifiers` is False for one of whom only the name is released.
    """

    login: str
    name: str
    affiliation: str = "faculty"
    scope: str | None = None
    orcid: str | None = None
    note: Names = field(default_factory=dict)
    releases_identifiers: bool = True


@dataclass(frozen=True, slots=True)
class HomeOrganisation:
    """A home organisation: its identity provider's entityID and base URL, names by language, scope, people and keys."""

    entity_id: str
    base_url: str
    names: Names
    scope: str
    people: Sequence[Person]
    keys: FreshKey

    @property
    def sign_on_url(self) -> str:
        """Where the identity provider takes an AuthnRequest by HTTP-Redirect."""
        return f"{self.base_url}/saml/sign-on"

    def person(self, login: str) -> Person | None:
        """Return the person of that login, None where there is none."""
        return next((person for person in self.people if person.login == login), None)


UNIVERSITY_NAMES: Final[Names] = {"fi": "Esimerkin yliopisto", "sv": "Exempeluniversitetet", "en": "University of Example"}
UNIVERSITY_SCOPE: Final = "uni.example"
UNIVERSITY_PEOPLE: Final = (
    Person("aino", "Aino Virtanen"),
    Person("bjorn", "Björn Lindström", "staff"),
    Person("chen", "Chen Li", "student"),
    Person(
        "dana",
        "Dana Novak",
        orcid="https://sandbox.orcid.org/0000-0000-1000-0056",
        note={
            "fi": "kotiorganisaatio tuntee vanhemman ORCID iD -tunnisteen",
            "sv": "hemorganisationen känner till ett äldre ORCID iD",
            "en": "the home organisation knows an older ORCID iD",
        },
    ),
    Person(
        "eero",
        "Eero Mäkinen",
        scope="other.example",
        note={
            "fi": "tunniste kuuluu toiselle organisaatiolle, joten kirjautuminen hylätään",
            "sv": "identifieraren hör till en annan organisation, så inloggningen avvisas",
            "en": "the identifier belongs to another organisation, so that the sign-in is refused",
        },
    ),
    Person(
        "fanny",
        "Fanny Berg",
        releases_identifiers=False,
        note={
            "fi": "kotiorganisaatio ei luovuta tunnistetta",
            "sv": "hemorganisationen lämnar inte ut någon identifierare",
            "en": "the home organisation releases no identifier",
        },
    ),
)

INSTITUTE_NAMES: Final[Names] = {"fi": "Esimerkin tutkimuslaitos", "sv": "Exempelforskningsinstitutet", "en": "Example Research Institute"}
INSTITUTE_SCOPE: Final = "institute.example"
INSTITUTE_PEOPLE: Final = (Person("gita", "Gita Rao", "employee"), Person("henrik", "Henrik Salo", "employee"))

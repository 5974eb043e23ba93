"""What the pages of the demo federation say, in Finnish, Swedish and English."""

from typing import Final

LANGUAGES: Final = ("fi", "sv", "en")
"""The languages, in the order in which the texts stand."""

LANGUAGE_NAMES: Final = {"fi": "Suomi", "sv": "Svenska", "en": "English"}

_TEXTS: Final[dict[str, tuple[str, str, str]]] = {
    "demonstration": (
        "Esittely: tämä sivu, sen henkilöt ja organisaatiot ovat keksittyjä ja toimivat vain tällä koneella.",
        "Demonstration: den här sidan, personerna och organisationerna är påhittade och finns bara på den här datorn.",
        "Demonstration: this page, its people and organisations are invented and exist on this computer alone.",
    ),
    "languages": ("Kieli", "Språk", "Language"),
    "sign-in-title": ("Kirjaudu sisään", "Logga in", "Sign in"),
    "asked-by": ("Kirjautumista pyytää", "Inloggningen begärs av", "You are signing in to"),
    "who-are-you": ("Kuka olet?", "Vem är du?", "Who are you?"),
    "no-passwords": (
        "Valitse tutkija. Salasanaa ei tarvita.",
        "Välj en forskare. Inget lösenord behövs.",
        "Choose a researcher. No password is needed.",
    ),
    "cancel": ("Peruuta", "Avbryt", "Cancel"),
    "continue-title": ("Kirjautuminen onnistui", "Inloggningen lyckades", "You are signed in"),
    "cancelled-title": ("Kirjautuminen peruttiin", "Inloggningen avbröts", "The sign-in was cancelled"),
    "continue-to": (
        "Jos sivu ei vaihdu itsestään, jatka palveluun painikkeella.",
        "Om sidan inte byts av sig själv, fortsätt till tjänsten med knappen.",
        "If the page does not change by itself, continue to the service with the button.",
    ),
    "continue": ("Jatka", "Fortsätt", "Continue"),
    "problem-title": ("Pyyntöä ei voida palvella", "Begäran kan inte behandlas", "The request cannot be served"),
    "federation": ("Esimerkkifederaatio", "Exempelfederationen", "Example Federation"),
    "discovery-title": ("Valitse kotiorganisaatiosi", "Välj din hemorganisation", "Choose your home organisation"),
    "discovery-for": ("Kirjaudut palveluun", "Du loggar in i tjänsten", "You are signing in to"),
    "home-organisation": (
        "Tämä on esittelyn kotiorganisaatio. Sen kautta kirjaudutaan palvelusta käsin.",
        "Det här är en hemorganisation i demonstrationen. Man loggar in via den från en tjänst.",
        "This is a home organisation of the demonstration. One signs in through it, coming from a service.",
    ),
    "service-title": ("Esimerkin tietoarkisto", "Exempeldataarkivet", "Example Data Archive"),
    "service-intro": (
        "Palvelu, joka haluaa tietää tutkijan ORCID iD -tunnisteen. Se kysyy sitä attribuuttipalvelulta jokaisen kirjautumisen yhteydessä.",
        "En tjänst som vill veta forskarens ORCID iD. Den frågar attributtjänsten efter det vid varje inloggning.",
        "A service that would like to know a researcher's ORCID iD. It asks the attribute authority for it at every sign-in.",
    ),
    "sign-in": ("Kirjaudu sisään", "Logga in", "Sign in"),
    "sign-out": ("Kirjaudu ulos", "Logga ut", "Sign out"),
    "signed-in-as": ("Kirjautuneena", "Inloggad som", "Signed in as"),
    "authority-heading": ("Attribuuttipalvelulta", "Från attributtjänsten", "From the attribute authority"),
    "login-heading": (
        "Kotiorganisaatiolta kirjautuessa",
        "Från hemorganisationen vid inloggningen",
        "From the home organisation at sign-in",
    ),
    "authority-orcid": (
        "eduPersonOrcid attribuuttipalvelulta:",
        "eduPersonOrcid från attributtjänsten:",
        "eduPersonOrcid from the attribute authority:",
    ),
    "nothing": ("ei mitään", "inget", "nothing"),
    "nothing-next": (
        "ORCID iD -tunnistetta ei ole vielä yhdistetty, tai se on poistettu. Yhdistä se ja kysy sitten uudelleen.",
        "Inget ORCID iD är kopplat, eller så har kopplingen tagits bort. Koppla det och fråga sedan igen.",
        "No ORCID iD is linked yet, or it was unlinked. Link it, then ask again.",
    ),
    "no-answer": (
        "Attribuuttipalvelu ei vastannut. Yritä hetken kuluttua uudelleen.",
        "Attributtjänsten svarade inte. Försök igen om en stund.",
        "The attribute authority did not answer. Try again in a moment.",
    ),
    "asked-with": ("Kysytty tunnisteella", "Frågan ställdes med", "Asked with"),
    "took": ("Vastaus saatiin ajassa", "Svaret tog", "The answer took"),
    "view-record": ("Näytä ORCID-tietue", "Visa ORCID-posten", "View ORCID record"),
    "ask-again": ("Kysy uudelleen", "Fråga igen", "Ask again"),
    "link-it": ("Yhdistä ORCID iD", "Koppla ditt ORCID iD", "Link your ORCID iD"),
    "no-attributes": ("Attribuutteja ei saatu.", "Inga attribut mottogs.", "No attribute was received."),
    "directory-title": ("Käyttäjähakemisto", "Katalogen", "Directory"),
    "directory-intro": (
        "Tänne attribuuttipalvelu toimittaa yhdistetyt ORCID iD -tunnisteet. Kirjautumispalvelu lukee ne täältä ja luovuttaa ne itse.",
        "Hit levererar attributtjänsten de ORCID iD som har kopplats. Inloggningstjänsten läser dem här och lämnar själv ut dem.",
        "The attribute authority delivers linked ORCID iDs here. The identity provider reads them here, and releases them itself.",
    ),
    "directory-none": ("ei ORCID iD -tunnistetta", "inget ORCID iD", "no ORCID iD"),
    "back": ("Takaisin alkuun", "Tillbaka till början", "Back to the start"),
}


def text(key: str, language: str) -> str:
    """Return a text; an unknown key is a defect and raises KeyError."""
    return _TEXTS[key][LANGUAGES.index(language)]

"""The words in which an organisation is told of parked deliveries, in Finnish, Swedish and English.

A letter says which systems, how many deliveries, when and why. It says nothing about whom: not by identifier, not by iD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import Final, Literal

from attribute_authority.core.cleaning import without_person
from attribute_authority.domain.delivery import DeliveryRecord

Language = Literal["fi", "sv", "en"]

LISTED: Final = 50
"""How many deliveries a letter lists at most."""


@dataclass(frozen=True, slots=True)
class Service:
    """Who writes: what the service is called in each language, and the e-mail address at which people answer for it."""

    names: Mapping[Language, str]
    contact: str


@dataclass(frozen=True, slots=True)
class Parked:
    """What an organisation is told of: `counts` are all deliveries by sink, `listed` those that are described."""

    counts: Mapping[str, int]
    listed: Sequence[DeliveryRecord]


@dataclass(frozen=True, slots=True)
class _Words:
    """Sentences of one language; of a pair the first is for one delivery, the second for several."""

    subject: tuple[str, str]
    opening: str
    sink: tuple[str, str]
    delivery: str
    reason: str
    no_reason: str
    further: tuple[str, str]
    discretion: str
    contact: str
    closing: str


_WORDS: Final[Mapping[Language, _Words]] = {
    "fi": _Words(
        subject=("1 ORCID-tunnisteen toimitus odottaa toimenpiteitä", "{count} ORCID-tunnisteen toimitusta odottaa toimenpiteitä"),
        opening=(
            "{service} ei ole pystynyt toimittamaan tutkijoiden ORCID-tunnisteita organisaation {organisation} järjestelmiin. "
            "Seuraavat toimitukset odottavat, kunnes niiden este on poistettu."
        ),
        sink=("Järjestelmä {sink}: 1 toimitus", "Järjestelmä {sink}: {count} toimitusta"),
        delivery="Viite {reference}, {time} (UTC)",
        reason="Syy: {reason}",
        no_reason="Syytä ei ilmoitettu.",
        further=("ja 1 muu", "ja {count} muuta"),
        discretion="Viestissä ei ole henkilötietoja, koska sähköposti ei ole luottamuksellinen.",
        contact=(
            "Kun este on poistettu, tai jos haluatte tietää, ketä toimitus koskee, kirjoittakaa osoitteeseen {contact} ja mainitkaa viite."
        ),
        closing="Tämä viesti lähetettiin automaattisesti. Älkää vastatko siihen, vaan käyttäkää yllä olevaa osoitetta.",
    ),
    "sv": _Words(
        subject=("1 leverans av ORCID iD kräver åtgärder", "{count} leveranser av ORCID iD kräver åtgärder"),
        opening=(
            "{service} har inte kunnat leverera forskares ORCID iD till system hos {organisation}. "
            "Följande leveranser väntar tills hindret har undanröjts."
        ),
        sink=("System {sink}: 1 leverans", "System {sink}: {count} leveranser"),
        delivery="Referens {reference}, {time} (UTC)",
        reason="Orsak: {reason}",
        no_reason="Ingen orsak angavs.",
        further=("och 1 till", "och {count} till"),
        discretion="Meddelandet innehåller inga personuppgifter, eftersom e-post inte är konfidentiell.",
        contact="När hindret har undanröjts, eller för att få veta vem en leverans gäller, skriv till {contact} och ange referensen.",
        closing="Detta meddelande skickades automatiskt. Svara inte på det, utan använd adressen ovan.",
    ),
    "en": _Words(
        subject=("1 delivery of an ORCID iD needs your attention", "{count} deliveries of ORCID iDs need your attention"),
        opening=(
            "{service} could not deliver ORCID iDs of researchers to systems of {organisation}. "
            "The following deliveries wait until what stands in their way is put right."
        ),
        sink=("System {sink}: 1 delivery", "System {sink}: {count} deliveries"),
        delivery="Reference {reference}, {time} (UTC)",
        reason="Reason: {reason}",
        no_reason="No reason was given.",
        further=("and 1 more", "and {count} more"),
        discretion="This message holds no personal data, because e-mail is not confidential.",
        contact="When it is put right, or to learn whom a delivery is about, write to {contact} and give the reference.",
        closing="This message was sent automatically. Please do not answer it, but use the address above.",
    ),
}


def write_subject(language: Language, count: int) -> str:
    """Write the subject of a letter about so many deliveries."""
    return _counted(_WORDS[language].subject, count)


def write_text(language: Language, service: Service, organisation: str, parked: Parked) -> str:
    """Write the text of a letter; `organisation` is how the organisation is called."""
    words = _WORDS[language]
    listed = sorted(parked.listed, key=lambda record: record.sink.name)
    by_sink = {name: tuple(records) for name, records in groupby(listed, key=lambda record: record.sink.name)}
    paragraphs = [words.opening.format(service=service.names[language], organisation=organisation)]
    for sink, count in sorted(parked.counts.items()):
        paragraphs.append(_counted(words.sink, count, sink=sink))
        paragraphs += [_describe(words, record) for record in by_sink.get(sink, ())]
    further = sum(parked.counts.values()) - len(listed)
    if further:
        paragraphs.append(_counted(words.further, further))
    paragraphs += [words.discretion, words.contact.format(contact=service.contact), words.closing]
    return "\n\n".join(paragraphs) + "\n"


def _describe(words: _Words, record: DeliveryRecord) -> str:
    when = (record.ended_at or record.created_at).astimezone(UTC)
    # It was cleaned when it was recorded; the person may have got further identifiers since.
    known = () if record.orcid is None else (record.orcid,)
    reason = without_person(record.message or "", record.identifiers, known)
    told = words.reason.format(reason=reason) if reason else words.no_reason
    return f"  {words.delivery.format(reference=record.reference, time=f'{when:%Y-%m-%d %H:%M}')}\n  {told}"


def _counted(forms: tuple[str, str], count: int, **values: str) -> str:
    one, several = forms
    return (one if count == 1 else several).format(count=count, **values)

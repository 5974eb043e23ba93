"""Pages of computed identifiers: a million people are a few thousand rows of a database, not a million.

A record is the beginning of a digest and the number of the identifier that it was computed from; a page holds the records of all digests
that begin with the same bits. A record that fits may belong to another digest, so that whoever finds one computes again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

_DIGEST_OCTETS = 8
_NUMBER_OCTETS = 6
_RECORD = _DIGEST_OCTETS + _NUMBER_OCTETS

_RECORDS_OF_A_PAGE = 256
FEWEST_BITS = 8
"""Pages that are nearly empty cost little, and a home organisation whose first people link today may have many soon."""

MOST_BITS = 12
LARGEST_PAGE = 8_192 * _RECORD
"""A page that has grown beyond this tells that its index was made for far fewer people."""


def leading(digest: bytes) -> int:
    """Return the first 32 bits of a digest as a number."""
    return int.from_bytes(digest[:4], "big")


def page_number(digest: bytes, bits: int) -> int:
    """Return which page a digest belongs to, where pages are told apart by so many bits."""
    return leading(digest) >> (32 - bits)


def write_record(digest: bytes, number: int) -> bytes:
    """Write the record of an identifier."""
    return digest[:_DIGEST_OCTETS] + number.to_bytes(_NUMBER_OCTETS, "big")


def find_numbers(page: bytes, digest: bytes) -> tuple[int, ...]:
    """Return the numbers of the identifiers that the digest may have been computed from."""
    wanted, found = digest[:_DIGEST_OCTETS], []
    place = page.find(wanted)
    while place >= 0:
        # Elsewhere it is part of two records.
        if place % _RECORD == 0:
            found.append(int.from_bytes(page[place + _DIGEST_OCTETS : place + _RECORD], "big"))
        place = page.find(wanted, place + 1)
    return tuple(found)


def change_page(page: bytes, added: Iterable[bytes], removed: Iterable[bytes]) -> bytes:
    """Return a page with some records and without others; one that is in both is added."""
    records = dict.fromkeys(page[place : place + _RECORD] for place in range(0, len(page), _RECORD))
    for record in removed:
        records.pop(record, None)
    return b"".join((records | dict.fromkeys(added)).keys())


class Packing:
    """Takes records one after the other and packs them into pages; what it holds is little more than the records themselves."""

    def __init__(self) -> None:
        self._groups = [bytearray() for _ in range(1 << MOST_BITS)]

    def add(self, sources: Iterable[tuple[int, str]], digest_of: Callable[[str], bytes]) -> None:
        """Add the records of identifiers, given by number and text."""
        groups = self._groups
        for number, text in sources:
            # What `page_number` and `write_record` do is written out, because it is done a million times.
            digest = digest_of(text)
            groups[digest[0] << 4 | digest[1] >> 4] += digest[:8] + number.to_bytes(6, "big")

    @property
    def count(self) -> int:
        """How many records there are."""
        return sum(map(len, self._groups)) // _RECORD

    @property
    def bits(self) -> int:
        """By how many bits pages are told apart, so that they are neither many nor large."""
        wanted = (self.count // _RECORDS_OF_A_PAGE).bit_length()
        return min(max(wanted, FEWEST_BITS), MOST_BITS)

    def pages(self) -> Iterator[tuple[int, bytes]]:
        """Yield every page that holds anything, with its number."""
        together = 1 << (MOST_BITS - self.bits)
        for number in range(1 << self.bits):
            if page := b"".join(self._groups[number * together : (number + 1) * together]):
                yield number, page


def group_by_page(records: Iterable[bytes], bits: int) -> defaultdict[int, list[bytes]]:
    """Return records by the numbers of their pages."""
    grouped: defaultdict[int, list[bytes]] = defaultdict(list)
    for record in records:
        grouped[page_number(record, bits)].append(record)
    return grouped

"""Whom an error of the service is about (DESIGN.md §5, Attribution).

An error belongs to a contact when it contains exactly one address of the batch. An error that names nobody,
two contacts, or somebody who is not in the batch belongs to nobody: it only says that something failed.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from syncengine.catalogue import Reading, read_text
from syncengine.normalise.addresses import address_key

_FOREIGN = re.compile(r"[^\s<>()\[\],;:\"]+@[^\s<>()\[\],;:\"!?]+")
# What before a match shows that it is the end of a longer local part. An apostrophe counts only within one: elsewhere
# it is a quotation mark, since no address that starts with one is ever sent.
_BEFORE = re.compile(r"[\w.%+!#$&*/^~-]'?\Z|''\Z")
_AFTER = re.compile(r"^(?:[\w-]|\.\w)")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error text, read."""

    text: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class Blame:
    """Errors of one answer, shared out. `repeated` counts errors about a contact that was named before."""

    named: Mapping[int, Complaint]
    unnamed: tuple[Complaint, ...]
    repeated: int

    @property
    def all(self) -> tuple[Complaint, ...]:
        return (*self.named.values(), *self.unnamed)


class Named(Enum):
    """Whom an error about one contact names."""

    THE_CONTACT = auto()
    SOMEBODY_ELSE = auto()
    NOBODY = auto()


class AddressBook:
    """The addresses of a batch, by contact position; a rename answers to its old and its new address."""

    def __init__(self, addresses: Iterable[tuple[str, ...]]) -> None:
        self._by_key: dict[str, int] = {}
        written: dict[str, int] = {}
        for position, spellings in enumerate(addresses):
            for spelling in spellings:
                self._by_key.setdefault(address_key(spelling), position)
                written.setdefault(_folded(spelling), position)
        self._spellings = sorted((written | self._by_key).items(), key=lambda pair: len(pair[0]), reverse=True)

    def find(self, address: str) -> int | None:
        """Position of the contact with this address, whatever its spelling."""
        return self._by_key.get(address_key(address))

    def mentioned(self, text: str) -> set[int] | None:
        """Positions of all contacts whose address stands in `text`; None if it names somebody else as well.

        Longest address first, each stretch of text used once, so that `o'neil@x.org` is not taken for
        `neil@x.org`.
        """
        found, foreign = self.named_in(text)
        return None if foreign else found

    def named_in(self, text: str) -> tuple[set[int], bool]:
        """Positions of all contacts whose address stands in `text`, and whether an address of somebody else does."""
        rest = _folded(text)
        found: set[int] = set()
        for spelling, position in self._spellings:
            start = rest.find(spelling)
            while start >= 0:
                end = start + len(spelling)
                if _BEFORE.search(rest[max(0, start - 2) : start]) or _AFTER.match(rest[end : end + 2]):
                    start = rest.find(spelling, start + 1)
                    continue
                found.add(position)
                rest = f"{rest[:start]} {rest[end:]}"
                start = rest.find(spelling)
        return found, _FOREIGN.search(rest) is not None


def attribute(errors: Sequence[str], group: Sequence[int], book: AddressBook) -> Blame:
    """The `errors` of an answer about `group` (positions in the batch), each given to one contact or to nobody."""
    members = frozenset(group)
    named: dict[int, Complaint] = {}
    unnamed: list[Complaint] = []
    repeated = 0
    for text in errors:
        complaint = Complaint(text, read_text(text))
        position = _position(complaint, book)
        if position is None or position not in members:
            unnamed.append(complaint)
        elif position in named:
            repeated += 1
        else:
            named[position] = complaint
    return Blame(named, tuple(unnamed), repeated)


def whom_it_names(text: str, position: int, book: AddressBook) -> Named:
    """Whom an error about the contact at `position`, asked about alone, names."""
    complaint = Complaint(text, read_text(text))
    if _position(complaint, book) == position:
        return Named.THE_CONTACT
    found, foreign = book.named_in(text)
    if position in found or not (found or foreign):
        return Named.NOBODY
    return Named.SOMEBODY_ELSE


def _position(complaint: Complaint, book: AddressBook) -> int | None:
    position = None if complaint.reading.address is None else book.find(complaint.reading.address)
    if position is not None:
        return position
    mentioned = book.mentioned(complaint.text)
    return next(iter(mentioned)) if mentioned is not None and len(mentioned) == 1 else None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip()).casefold()

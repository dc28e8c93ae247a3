"""The words of the product as values (DESIGN.md §3): operations, variables, batches, outcomes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

GRACE: Final = 120.0
"""Seconds during which a request that was given up may still be applied by the service."""

FINGERPRINT_SCHEME: Final = 1  #: changes with everything that changes a fingerprint; kept in the state

ContactKey = NewType("ContactKey", str)
"""What identifies a contact: its normalised address, or the cell of an id column."""


class Op(StrEnum):
    """A change of one contact. `unsubscribe` and `remove` are for contacts that left the source."""

    ADD = "add"
    UPDATE = "update"
    RENAME = "rename"
    UNSUBSCRIBE = "unsubscribe"
    REMOVE = "remove"


class Mode(StrEnum):
    """What a job may do to the list."""

    UPSERT = "upsert"
    UPDATE = "update"
    ADD = "add"
    MIRROR = "mirror"


class Consent(StrEnum):
    """Who decides who is subscribed: the file (`source`) or SmartSender (`keep`; the file may only lower)."""

    SOURCE = "source"
    KEEP = "keep"


class OnMissing(StrEnum):
    """What a mirror does with a contact that left the source."""

    UNSUBSCRIBE = "unsubscribe"
    REMOVE = "remove"
    KEEP = "keep"


LIST_TO_FILL_IN: Final = "PUT-THE-LIST-ID-HERE"
"""What `init` writes where only a person knows the list. Nothing is sent to it."""


class VariableType(StrEnum):
    """Types the API knows for a variable (`ENUM_STRING`, `ENUM_DATE`)."""

    STRING = "string"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Variable:
    """A custom field of the list."""

    name: str
    type: VariableType


class Outcome(StrEnum):
    """What became of a planned contact (DESIGN.md §3)."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"
    PENDING = "pending"


class Call(StrEnum):
    """A request about contacts, by the form the contacts take in it."""

    ADD = "add"
    UPDATE = "update"
    UPDATE_ONE = "update-one"  #: the single-contact endpoint: a second opinion on a lone contact
    RENAME = "rename"  #: an update that addresses the contact by the address the list has
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A complete, well-formed answer that attributes success to every contact of the request."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A batch answer that counts successes and tells errors; the two need not add up."""

    updated: int  #: distinct ids
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declined:
    """A complete answer with errors and no count: says nothing about the contacts it does not name."""

    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No usable answer. `sent` is False only where no byte can have arrived (DESIGN.md §5, NOT_SENT)."""

    reason: str
    sent: bool = True
    status: int | None = None
    retry_after: float | None = None  #: seconds, as the service asked


@dataclass(frozen=True, slots=True)
class Fatal:
    """Token, list or address of the API refused: no request can succeed."""

    code: str
    text: str


Answer = Accepted | Partial | Declined | NoAnswer | Fatal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one contact of a batch. `code` is of the catalogue; `text` the service's own words."""

    outcome: Outcome
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """What the last finished run of a job saw. `clean`: nothing was left that a next run would send."""

    digest: str
    rules: str
    mapping: str
    generation: int
    clean: bool
    rows: int
    held: int
    same: int
    run: str

"""What a row means: which column is what. Values only, made once from the config and the source's header."""

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum

from syncengine.model import VariableType


class Empty(StrEnum):
    """What an empty cell does to a variable.

    `clear` sends an empty value where the list holds one; `skip` leaves what is there; `send` always sends it.
    """

    CLEAR = "clear"
    SKIP = "skip"
    SEND = "send"


class OnError(StrEnum):
    """What a cell that does not fit its type does: hold the row, or count as empty."""

    HOLD = "hold"
    BLANK = "blank"


class Several(StrEnum):
    """What becomes of a cell with several addresses: the row is held, the first address counts, or each is a contact.

    `all` is done before rows are normalised (see `spread_rows`): here each row has one address already.
    """

    HOLD = "hold"
    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class EmailRule:
    """Columns that may hold the address, best first: the first with an address that may be sent counts.

    Where none has one, the first that is not empty says why the row is held.
    """

    columns: tuple[str, ...]
    several: Several = Several.HOLD


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """Who is subscribed: a column (or its opposite), or one answer for all. Exactly one of the two is given.

    `empty` is what an empty cell of the column means, where the config says so; otherwise the row is held.
    """

    column: str | None = None
    constant: bool | None = None
    invert: bool = False
    empty: bool | None = None


@dataclass(frozen=True, slots=True)
class VariableRule:
    """One variable of the list and the column it comes from. `type` None: decided by the values of this run.

    `phone`: a number that a spreadsheet has rounded (7.9E+10) does not fit.
    """

    name: str
    column: str
    type: VariableType | None = None
    formats: tuple[str, ...] = ()
    empty: Empty = Empty.CLEAR
    on_error: OnError = OnError.HOLD
    phone: bool = False

    @property
    def may_be_cleared(self) -> bool:
        """Dates can't be: the API takes only YYYY-MM-DD, and an empty text is refused."""
        return self.type is not VariableType.DATE


@dataclass(frozen=True, slots=True)
class HoldRule:
    """A condition on a cell, case and blanks aside: rows that are not sent, or people who are not subscribed.

    values      the cell is one of these
    not_empty   there is something in it
    none_of     it is none of these; an empty cell is `""`
    like        it matches one of these globs (`unsubscribed_*`)
    yes         it says yes, in any language; a word that is neither yes nor no holds the row, an empty cell is a no

    Exactly one of the five is given.
    """

    column: str
    values: tuple[str, ...] = ()
    not_empty: bool = False
    code: str = "rule"
    none_of: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    yes: bool = False


class OptedOut(StrEnum):
    """What becomes of people who opted out and whom the list is not known to have: held, or added as unsubscribed."""

    HOLD = "hold"
    RECORD = "record"


class Winner(StrEnum):
    """Which of several rows for one contact is taken. All of them must agree for it to be subscribed."""

    LAST = "last"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Mapping:
    """How rows become contacts. `key` None: the address identifies the contact.

    opt_outs    conditions under which a person is not subscribed, whatever `active` says
    sentinels   what stands for an empty cell in variables, besides what stands for no date in dates
    """

    email: EmailRule
    active: ActiveRule
    name: str | None = None
    key: str | None = None
    variables: tuple[VariableRule, ...] = ()
    holds: tuple[HoldRule, ...] = ()
    winner: Winner = Winner.LAST
    opt_outs: tuple[HoldRule, ...] = ()
    opted_out: OptedOut = OptedOut.HOLD
    sentinels: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Every source column that is read, each once."""
        named = [
            *self.email.columns,
            self.key,
            self.name,
            self.active.column,
            *(rule.column for rule in self.variables),
            *(rule.column for rule in self.holds),
            *(rule.column for rule in self.opt_outs),
        ]
        return tuple(dict.fromkeys(column for column in named if column is not None))

    def digest(self) -> str:
        """Changes whenever a row could mean something else. Variables count in any order."""
        facts = asdict(self)
        facts["variables"] = sorted(facts["variables"], key=lambda rule: rule["name"])
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()

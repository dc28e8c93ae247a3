"""Headers as people meant them: trimmed, without what can't be seen, each once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from syncengine.errors import SourceError

RESERVED: Final = frozenset({"row", "ordinal", "code", "reason"})  #: columns the frames of a chunk have of their own

_INVISIBLE: Final = re.compile("[\x00-\x08\x0e-\x1b\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_BLANKS: Final = re.compile(r"[\s\u0085\u00a0\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NUMBER: Final = re.compile(r"[+-]?\d[\d\s.,:/-]*")


@dataclass(frozen=True, slots=True)
class Columns:
    """`names` has one name for each field of a row; `shown` those a person gave, in order."""

    names: tuple[str, ...]
    shown: tuple[str, ...]
    unnamed: tuple[str, ...] = ()  #: in `names` only; may hold no data
    notes: tuple[str, ...] = ()


def clean_header(cell: str) -> str:
    """Blanks at the ends, marks and zero-width characters gone; inner runs of blanks and line breaks as one blank."""
    return _BLANKS.sub(" ", _INVISIBLE.sub("", cell)).strip()


def name_columns(cells: Sequence[str], *, shown: str, line: int, max_columns: int) -> Columns:
    """The columns of a header. Raises SourceError if a name is there twice, if there is none, or too many."""
    if len(cells) > max_columns:
        raise too_many(len(cells), shown=shown, max_columns=max_columns)
    cleaned = [clean_header(cell) for cell in cells]
    _refuse_data(cleaned, shown=shown, line=line)
    _refuse_repeats(cleaned, shown=shown, line=line)
    notes: list[str] = []
    taken = set(cleaned)
    names = []
    for position, name in enumerate(cleaned, start=1):
        names.append(free_name(name, taken, notes) if name else f"\0unnamed {position}")
    unnamed = tuple(name for name in names if name.startswith("\0"))
    if unnamed:
        places = ", ".join(name.removeprefix("\0unnamed ") for name in unnamed)
        notes.append(f"left out, having neither name nor data: column {places}")
    visible = tuple(name for name in names if not name.startswith("\0"))
    return Columns(tuple(names), visible, unnamed, tuple(notes))


def too_many(count: int, *, shown: str, max_columns: int) -> SourceError:
    return SourceError(
        f"{shown} has more than {max_columns:,} columns",
        why=f"{count:,} were counted in its header; the largest CRM exports have some 600",
        fix="export only the columns that are needed; if this is no table, name the right file",
        code="too-many-columns",
    )


def data_without_name(name: str, *, shown: str, header_line: int, row: int) -> SourceError:
    """For a column that has cells but no header."""
    position = name.removeprefix("\0unnamed ")
    return SourceError(
        f"{shown}: column {position} has data but no name",
        why=f"its cell in line {header_line} is empty, and row {row:,} has something there",
        fix=f"give column {position} a name in line {header_line}, or leave the column out of the export",
        code="header-empty",
    )


def free_name(name: str, taken: set[str], notes: list[str]) -> str:
    """`name`, or another spelling of it where it means something to the frames (`RESERVED`) or to polars."""
    if not _special(name):
        return name
    spellings = (name.capitalize(), name.upper(), *(f"{name} {number}" for number in range(2, len(taken) + 3)))
    free = next(spelling for spelling in spellings if spelling not in taken and not _special(spelling))
    taken.add(free)
    notes.append(f"column {name!r} is called {free!r} here: the name has another meaning")
    return free


def _special(name: str) -> bool:
    """Whether the frames have such a column, or polars takes the name for a pattern wherever it stands."""
    return name in RESERVED or name == "*" or (name.startswith("^") and name.endswith("$"))


def _refuse_data(names: Sequence[str], *, shown: str, line: int) -> None:
    filled = [name for name in names if name]
    address = next((name for name in filled if _ADDRESS.fullmatch(name)), None)
    if filled and address is None and not all(_NUMBER.fullmatch(name) for name in filled):
        return
    seen = ", ".join(filled[:4]) or "nothing"
    raise SourceError(
        f"{shown} has no header",
        why=f"line {line} should name the columns; it says: {seen[:120]}",
        fix="add a first line such as: Email,First name,Last name",
        code="header-missing",
    )


def _refuse_repeats(names: Sequence[str], *, shown: str, line: int) -> None:
    first: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if name and first.setdefault(name, position) != position:
            raise SourceError(
                f"{shown}: the column {name!r} is there twice",
                why=f"in line {line}, as columns {first[name]} and {position}; which of them is meant can't be known",
                fix="rename one of them in the file or in the export's settings",
                code="header-duplicate",
            )

"""Column headers as names of variables, and the choice between what is configured, stored and derived.

SmartSender takes lowerCamelCase of Latin letters only, so digits become words and every script is transliterated.
Deriving is not idempotent (`0A:A` gives `zeroAA`, which gives `zeroAa`) and its tables may grow, so a choice once made
is stored and never derived again: a variable must not change its name under the contacts that have it.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Final

from anyascii import anyascii

from syncengine.errors import ConfigError

__all__ = [
    "RESERVED_NAMES",
    "NameChoice",
    "NameCollision",
    "choose_names",
    "names_a_phone",
    "near_miss",
    "propose_names",
    "toml_string",
    "variable_name",
]

RESERVED_NAMES: Final = frozenset(
    {"email", "name", "active", "contact", "phonenumber", "userid", "externalid", "createdat"}
)
"""Names refused for a variable, in lower case; compared without case, as the service's own client does.

`email`, `name` and `active` are the contact's own fields: a variable beside them would be a second truth. `contact` is
how an update names its contact. `phoneNumber`, `userId`, `externalId` and `createdAt` are default fields of a list in
API v3 and reserved in its client: a list made through v2 must survive the move. `id`, `phone`, `city` and the like are
not refused: the documentation of v2 itself creates a variable `id`.
"""

_NAME: Final = re.compile(r"[a-z][A-Za-z]*")
_PLACEHOLDER: Final = "field"
_COLLISION: Final = "name-collision"
_INSTEAD: Final[Mapping[str, str]] = {
    "email": "otherEmail",
    "name": "fullName",
    "active": "crmActive",
    "contact": "crmContact",
    "phonenumber": "phone",
    "userid": "crmUserId",
    "externalid": "crmId",
    "createdat": "crmCreatedAt",
}
_OWN_FIELDS: Final = ("email", "name", "active")

_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL: Final = re.compile(r"(?<![^\W_])(10|[1-9])(?:st|nd|rd|th)(?![^\W_])", re.IGNORECASE)
_E_MAIL: Final = re.compile(r"(?<![^\W_])[eе][-‐‑‒– ]?mail", re.IGNORECASE)  # the second е is Cyrillic, and common
_APOSTROPHES: Final = str.maketrans("", "", "'’‘‛ʼʹʻ`´′＇")


def variable_name(header: str) -> str:
    """The variable a column called `header` becomes: lowerCamelCase, always `[a-z][A-Za-z]*`.

    `E-mail 1 - Value` gives `emailOneValue`, `HTMLBody` `htmlBody`, `Щёлково объём` `shchelkovoObem`, `2nd Email`
    `secondEmail`; a header without a letter or digit gives `field`. Not idempotent: see the module.
    """
    words = [word for hump in _humps(header) for word in _latin(hump)]
    return words[0] + "".join(word.capitalize() for word in words[1:]) if words else _PLACEHOLDER


def _humps(header: str) -> Iterator[str]:
    """The words of `header` in its own script: cut at what is no letter or digit, around digits, at camel humps."""
    # Before NFKC, which makes a blank and a combining accent of ´.
    text = unicodedata.normalize("NFKC", header.translate(_APOSTROPHES))
    text = _E_MAIL.sub(lambda found: "EMAIL" if found[0].isupper() else "Email", text)
    text = _ORDINAL.sub(lambda found: _ORDINALS[int(found[1]) - 1], text)
    # Marks belong to their word: without them हिन्दी falls into three.
    for word in "".join(sign if unicodedata.category(sign)[0] in "LNM" else " " for sign in text).split():
        start = 0
        for place in range(1, len(word)):
            if _hump_starts(word[place - 1], word[place], word[place + 1 : place + 2]):
                yield word[start:place]
                start = place
        yield word[start:]


def _hump_starts(before: str, here: str, after: str) -> bool:
    if before.isdecimal() or here.isdecimal():
        return before.isdecimal() != here.isdecimal()
    return here.isupper() and (before.islower() or (before.isupper() and after.islower()))


def _latin(word: str) -> Iterator[str]:
    """`word` in lower-case Latin letters, each digit a word of its own; nothing for what can't be transliterated."""
    letters = re.sub(r"[^a-z0-9]", "", anyascii(word).lower())
    for run in re.findall(r"[a-z]+|[0-9]", letters):
        yield _DIGITS[int(run)] if run.isdecimal() else run


_PHONE_WORDS: Final = re.compile(
    r"phone|mobile|mobil|cell|cellular|telephones?|telefon\w*|telefoon\w*|tel|fax|faks\w*|sms|whats|viber|handy|gsm|"
    r"movil|celular|cellulare|portable|puhelin|mobilnyy|mob"
)


def names_a_phone(column: str, variable: str = "") -> bool:
    """Whether a column or its variable is called like a phone number, in the languages of the CRMs we know."""
    words = [word for text in (column, variable) for hump in _humps(text) for word in _latin(hump)]
    return any(_PHONE_WORDS.fullmatch(word) for word in words)


# The choice ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NameChoice:
    """The variable of one column. `stored`: the state holds this very choice. `note`: for the plan, may be empty."""

    column: str
    name: str
    stored: bool
    note: str


class NameCollision(ConfigError):  # noqa: N818  # the word of the plan and the documentation
    """Columns that would share a variable; one of their values would be lost."""

    default_code = _COLLISION


def choose_names(
    columns: Sequence[str],
    *,
    stored: Mapping[str, str],
    explicit: Mapping[str, str],
    positions: Sequence[int] | None = None,
) -> tuple[NameChoice, ...]:
    """The variable of each column, in order: the configured name, else the stored one, else `variable_name`.

    columns     headers of the columns that become variables
    stored      column -> name, as chosen in earlier runs; taken as it is, never derived again
    explicit    column -> name, from `[job.variables]`; entries for other columns are ignored
    positions   places of `columns` in the file, from 1; default 1, 2, 3, …

    Names that differ in case only are one name. Raises ConfigError (`name-invalid`, `name-reserved`) or NameCollision,
    with every column concerned and the lines to paste; what is wrong in several ways is told at once.
    """
    found = tuple(_choice(column, stored, explicit) for column in columns)
    choices, faults = _mended(found, explicit, positions or range(1, len(columns) + 1))
    if faults:
        raise _error(faults, _table(found, choices, explicit))
    return choices


def propose_names(columns: Sequence[str], *, explicit: Mapping[str, str]) -> dict[str, str]:
    """A name for each column that can stay: derived or `explicit`, and another one where that is taken or reserved."""
    found = tuple(_choice(column, {}, explicit) for column in columns)
    choices, _ = _mended(found, explicit, range(1, len(columns) + 1))
    return {choice.column: choice.name for choice in choices}


def _mended(found: "_Choices", explicit: Mapping[str, str], places: Sequence[int]) -> "tuple[_Choices, list[_Fault]]":
    """`found` with other names where they can not stay, and why."""
    choices, faults = found, list[_Fault]()
    for fault_of in (
        partial(_invalid, explicit=explicit),
        _reserved,
        partial(_collisions, explicit=explicit, places=places),
    ):
        if fault := fault_of(choices):
            faults.append(fault)
            choices = _renamed(choices, fault.renamed)
    return choices, faults


def _choice(column: str, stored: Mapping[str, str], explicit: Mapping[str, str]) -> NameChoice:
    old = stored.get(column)
    if column in explicit:
        name = explicit[column]
        renamed = (
            f"was {old!r} until now: the list keeps that variable and its values" if old not in {None, name} else ""
        )
        return NameChoice(column, name, stored=old == name, note=renamed)
    if old is not None:
        return NameChoice(column, old, stored=True, note="")
    name = variable_name(column)
    return NameChoice(column, name, stored=False, note=_remark(name, column, stored))


def _remark(name: str, column: str, stored: Mapping[str, str]) -> str:
    if before := [other for other, taken in stored.items() if taken == name and other != column]:
        return f"the variable that the column {before[0]!r} had"
    if name == _PLACEHOLDER:
        return "nothing in the header can be made a name: consider renaming"
    if len(name) < 3 or not re.search("[aeiouy]", name, re.IGNORECASE):
        return "hard to recognise: consider renaming"
    return ""


# What can't be chosen ------------------------------------------------------------------------------------------------

_Choices = tuple[NameChoice, ...]


@dataclass(frozen=True, slots=True)
class _Fault:
    """Names that can not stay, and what to call those columns instead (by index)."""

    code: str
    what: str
    why: str
    renamed: Mapping[int, str]


def _invalid(choices: _Choices, explicit: Mapping[str, str]) -> _Fault | None:
    wrong = {
        index: _free(variable_name(choice.name), choices[:index] + choices[index + 1 :])
        for index, choice in enumerate(choices)
        if choice.column in explicit and not _NAME.fullmatch(choice.name)
    }
    if not wrong:
        return None
    what = f"{_listed(repr(choices[index].name) for index in wrong)} can not name a variable"
    why = "SmartSender takes Latin letters only, the first a small one: [a-z][A-Za-z]*"
    return _Fault("name-invalid", what, why, wrong)


def _reserved(choices: _Choices) -> _Fault | None:
    reserved = {
        index: _free(_INSTEAD[choice.name.lower()], choices)
        for index, choice in enumerate(choices)
        if not choice.stored and choice.name.lower() in RESERVED_NAMES
    }
    if not reserved:
        return None
    chosen = [choices[index] for index in reserved]
    names = _listed(f"{choice.name!r} (column {choice.column!r})" for choice in chosen)
    why = "no variable can have such a name" + "".join(map(_own_field, chosen))
    return _Fault("name-reserved", f"SmartSender keeps {names} for itself", why, reserved)


def _own_field(choice: NameChoice) -> str:
    name = choice.name.lower()
    if name not in _OWN_FIELDS:
        return ""
    return f"; to fill the contact's own {name} instead: [job.columns] {name} = {toml_string(choice.column)}"


def _collisions(choices: _Choices, explicit: Mapping[str, str], places: Sequence[int]) -> _Fault | None:
    meeting: dict[str, list[int]] = {}
    for index, choice in enumerate(choices):
        meeting.setdefault(choice.name.lower(), []).append(index)
    groups = [group for group in meeting.values() if len(group) > 1]
    if not groups:
        return None
    told = [
        f"{_listed(f'{choices[index].column!r} (column {places[index]})' for index in group)}"
        f" meet in the name {choices[group[0]].name!r}"
        for group in groups
    ]
    why = "a variable has one value for a contact, so one of the columns would be lost"
    return _Fault(_COLLISION, "; ".join(told), why, _told_apart(choices, groups, explicit))


def _told_apart(choices: _Choices, groups: Iterable[Sequence[int]], explicit: Mapping[str, str]) -> dict[int, str]:
    """New names for all but one of each group. Who is configured or stored keeps the name, else who comes first."""
    renamed: dict[int, str] = {}
    for group in groups:
        first, *others = sorted(
            group, key=lambda index: (choices[index].column not in explicit, not choices[index].stored, index)
        )
        for index in others:
            renamed[index] = _free(choices[first].name, _renamed(choices, renamed))
    return renamed


def _renamed(choices: _Choices, names: Mapping[int, str]) -> _Choices:
    return tuple(replace(choice, name=names.get(index, choice.name)) for index, choice in enumerate(choices))


def _free(name: str, choices: _Choices) -> str:
    """`name`, or with Two, Three, … behind it, such that no column has it and nothing reserves it."""
    taken = RESERVED_NAMES | {choice.name.lower() for choice in choices}
    numbered = (name + "".join(_DIGITS[int(digit)].capitalize() for digit in str(number)) for number in count(2))
    return next(free for free in chain([name], numbered) if free.lower() not in taken)


def _error(faults: Sequence[_Fault], fix: str) -> ConfigError:
    kind = NameCollision if faults[0].code == _COLLISION else ConfigError
    what, why = ("; ".join(told) for told in zip(*((fault.what, fault.why) for fault in faults), strict=True))
    return kind(what, why=why, fix=fix, code=faults[0].code)


def _table(before: _Choices, after: _Choices, explicit: Mapping[str, str]) -> str:
    """What to paste. Where the config has no table yet, all of it: a table takes only the columns it names."""
    rows = [
        f"{new.name} = {toml_string(new.column)}"
        for old, new in zip(before, after, strict=True)
        if not explicit or old.name != new.name
    ]
    return "\n".join(["[job.variables]", *rows])


def toml_string(text: str) -> str:
    """`text` in quotes, as TOML wants it."""
    # A JSON string is a TOML string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(items: Iterable[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


# Typos ---------------------------------------------------------------------------------------------------------------


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` was probably meant to be, or None; None too when `name` is known.

    Near is a difference in case only, or one slip (a letter too many, too few, wrong, or two swapped) for every four
    letters, at most two. Names that differ in their numbers are not near: `lineFive` is no typo of `lineNine`.
    """
    names = list(known)
    if name in names:
        return None
    limit = min(2, len(name) // 4)
    near = [(_slips(name.lower(), other.lower()), other) for other in names if _numbers(other) == _numbers(name)]
    slips, best = min(near, default=(limit + 1, ""))
    return best if slips <= limit else None


def _numbers(name: str) -> list[str]:
    return [word.lower() for word in _humps(name) if word.lower() in _DIGITS]


def _slips(one: str, other: str) -> int:
    """Optimal string alignment distance."""
    above: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, last, row = row, above, [i]
        for j, sign in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != sign))
            if i > 1 and j > 1 and one[i - 2] == sign and letter == other[j - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]

"""Cells as values: text, sentinels, booleans, dates, and what is too damaged to send.

Every function takes and gives polars expressions (`date_evidence` a Series) and none repairs: a cell is read as it
stands, or the answer is null and the caller holds the row. Nothing here raises on a cell, whatever is in it.

    text, blank_sentinels           String   trimmed cell, or null for an empty one
    boolean, inverted_boolean       Boolean  or null for a word we do not know
    date                            String   `YYYY-MM-DD`, or null
    phone                           String   without the mark by which a spreadsheet keeps a number text
    is_iso_date, control_characters, scientific_phone    Boolean, null for a null cell
"""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import polars as pl

from syncengine.normalise.date_formats import RIVALS, SHAPES, parts_of, refuse_rivals

__all__ = [
    "BLANKS",
    "DATE_CANDIDATES",
    "DATE_SENTINELS",
    "FALSE_WORDS",
    "ISO",
    "SENTINELS",
    "STATE_WORDS",
    "TRUE_WORDS",
    "DateEvidence",
    "blank_sentinels",
    "boolean",
    "control_characters",
    "date",
    "date_evidence",
    "inverted_boolean",
    "is_iso_date",
    "phone",
    "scientific_phone",
    "text",
]

# Text ----------------------------------------------------------------------------------------------------------------

BLANKS: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
)
"""Unicode's White_Space, zero-width space, word joiner and BOM.

Not the joiners U+200C and U+200D: at the end of a word they are spelling (the Malayalam name രാജന്‍ ends in one).
"""


def text(cell: pl.Expr) -> pl.Expr:
    """The cell without surrounding `BLANKS`, otherwise byte for byte; null when nothing is left."""
    return cell.str.strip_chars(BLANKS).replace("", None)


SENTINELS: Final = frozenset(
    {
        "n/a", "#n/a", "n.a.", "none", "(none)", "null", "(null)", "[null]", "<null>", "\\n", "undefined",
        "-", "--", "---", "–", "—", "(no value)", "(blank)", "(empty)",
        "#null!", "#ref!", "#value!", "#name?", "#num!", "#div/0!",
        "н/д", "#н/д", "нет данных", "не указан", "не указана", "не указано", "не задано", "не заполнено",
    }
)  # fmt: skip
"""What exports write into a cell that is empty, in lower case.

A closed list. `na`, `nan`, `no` and `unknown` are left out: Namibia, a first name, an answer and a statement. `None`
and `Null` are surnames too: do not apply the list to names.
"""

DATE_SENTINELS: Final = SENTINELS | {
    "0", "0/0/00", "0/0/0000", "00/00/00", "00/00/0000", "00.00.0000", "00-00-0000", "0000-00-00", "0000/00/00",
    "00.00.0000 00:00:00", "0000-00-00 00:00:00", "0000-00-00t00:00:00", "0000-00-00t00:00:00z",
    "1/0/1900", "00.01.1900", "1900-01-00",
    "1/1/0001", "01/01/0001", "01.01.0001", "0001-01-01", "01.01.0001 00:00:00", "0001-01-01 00:00:00",
    "0001-01-01t00:00:00", "0001-01-01t00:00:00z",
    "never", "не закрыт", "не закрыта", "никогда",
}  # fmt: skip
"""`SENTINELS`, and what stands for no date: Outlook's 0/0/00, MySQL's zeros, Excel's day 0, .NET's day 1.

1900-01-01 and 1970-01-01 are left out: people are born on them.
"""


def blank_sentinels(cell: pl.Expr, sentinels: Collection[str] = SENTINELS) -> pl.Expr:
    """A cell of `text` as it is, or null when the whole of it is one of `sentinels`, in any case."""
    # One case-insensitive automaton takes 0.4 of the time of lower-casing every cell and looking it up.
    words = "|".join(pl.escape_regex(word) for word in sorted(sentinels))
    return pl.when(~cell.str.contains(rf"(?i)^(?:{words})$")).then(cell)


# Booleans ------------------------------------------------------------------------------------------------------------

_YES_NO: Final[Mapping[str, tuple[str, str]]] = {
    "signs": ("1 1.0 x ✓ ✔ ☑", "0 0.0 ☐ ✗ ✘"),
    "en": ("true t yes y on", "false f no n off"),
    "de": ("ja j wahr", "nein falsch"),
    "fr": ("oui vrai", "non faux"),
    "es": ("sí si verdadero", "no falso"),
    "it": ("sì si vero", "no falso"),
    "pt": ("sim verdadeiro", "não nao falso"),
    "nl": ("ja waar", "nee onwaar"),
    "sv da nb": ("ja sant sann sand", "nej nei falskt falsk usann"),
    "fi et": ("kyllä tosi jah", "ei epätosi"),
    "pl": ("tak prawda", "nie fałsz"),
    "cs sk": ("ano áno pravda", "ne nie nepravda"),
    "hu": ("igen igaz", "nem hamis"),
    "ro": ("da adevărat", "nu fals"),
    "lv lt": ("jā taip", "nē ne"),
    "el": ("ναι", "όχι"),
    "ru": ("да д истина", "нет н ложь"),
    "uk be": ("так істина", "ні не хибність"),
    "bg": ("да вярно", "не невярно"),
    "kk": ("иә ия", "жоқ"),
    "tr": ("evet doğru", "hayır hayir yanlış yanliş"),
    "az uz": ("bəli ha", "xeyr yo'q yoʻq yo‘q"),
    "ka hy": ("კი այո", "არა ոչ"),
    "ar he": ("نعم כן", "لا לא"),
    "hi": ("हाँ हां", "नहीं"),
    "zh": ("是 真", "否 假"),
    "ja": ("はい", "いいえ"),
    "ko": ("예 네", "아니오 아니요"),
    "id vi": ("ya có", "tidak không"),
}
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "en": ("subscribed active", "unsubscribed inactive"),
    "de": ("abonniert angemeldet aktiv", "abgemeldet inaktiv"),
    "fr": ("abonné inscrit actif", "désabonné désinscrit inactif"),
    "es": ("suscrito activo", "desuscrito inactivo"),
    "ru": ("подписан подписана активен активна", "отписан отписана неактивен неактивна"),
    "uk": ("підписаний підписана активний активна", "відписаний відписана неактивний неактивна"),
}


def _words(groups: Iterable[str]) -> frozenset[str]:
    """The words of `groups`, composed and decomposed: files from macOS spell `sí` with a combining accent."""
    words = [word for group in groups for word in group.split()]
    return frozenset(unicodedata.normalize(form, word) for word in words for form in ("NFC", "NFD"))


STATE_WORDS: Final = _words(group for pair in _STATES.values() for group in pair)
"""Words of `TRUE_WORDS` and `FALSE_WORDS` that name the contact's state instead of answering a question."""

TRUE_WORDS: Final = _words(yes for yes, _ in (*_YES_NO.values(), *_STATES.values()))
"""What `boolean` takes for true, in lower case. Closed, and on the careful side: a word misread as true mails someone.

`s`, `o` and `+` are left out (sí, stopped; oui, off; a sign without a partner, as `-` is an empty cell).
"""

FALSE_WORDS: Final = _words(no for _, no in (*_YES_NO.values(), *_STATES.values()))
"""What `boolean` takes for false, in lower case. No word is in both."""

_BOOLEANS: Final = dict.fromkeys(TRUE_WORDS, True) | dict.fromkeys(FALSE_WORDS, False)
_INVERTED: Final = {word: not value for word, value in _BOOLEANS.items() if word not in STATE_WORDS}


def boolean(cell: pl.Expr) -> pl.Expr:
    """True or false by `TRUE_WORDS` and `FALSE_WORDS`, blanks and case aside; null for anything else."""
    return _looked_up(cell, _BOOLEANS)


def inverted_boolean(cell: pl.Expr) -> pl.Expr:
    """The opposite of `boolean`, for an opt-out column; null also for `STATE_WORDS`.

    A cell "unsubscribed" in a column that is to be inverted would otherwise come out as a subscription.
    """
    return _looked_up(cell, _INVERTED)


def _looked_up(cell: pl.Expr, values: Mapping[str, bool]) -> pl.Expr:
    folded = cell.str.strip_chars(BLANKS).str.to_lowercase()
    return folded.replace_strict(values, default=None, return_dtype=pl.Boolean)


# Dates ---------------------------------------------------------------------------------------------------------------

ISO: Final = "ISO"
"""The name of ISO 8601 among `DATE_CANDIDATES`; `date` always reads it, it is never declared."""

_ISO_DATE: Final = r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
_ZONE: Final = r" ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)"
_ISO_MOMENT: Final = rf"^{_ISO_DATE}(?:[T ]{_CLOCK}(?:{_ZONE})?)?$"

_NUMBERS: Final = frozenset({"%Y", "%d", "%m", "%H", "%I", "%M", "%S"})


def date(cell: pl.Expr, formats: Sequence[str]) -> pl.Expr:
    """The cell's date as `YYYY-MM-DD`, or null: the first of ISO 8601 and `formats` that fits.

    Of an ISO or declared date with a time, the date is taken as written: no time zone is applied. Only days that exist,
    in the years 1000 to 9999. `formats` are strptime's, with %d %m %Y %b %B (English) %H %I %M %S .%f %p %z %%.
    Surrounding `BLANKS` do not matter.

    Raises ConfigError (`date-format`) for a format without day, month or four-digit year, or with another directive,
    and for formats that are day first and month first: 03/04/2025 would be either, by the order of the list.
    A two-digit year is refused: 12.05.45 is a birthday to one reader and a deadline to the next.
    """
    refuse_rivals(formats)
    trimmed = cell.str.strip_chars(BLANKS)
    return pl.coalesce(_iso(trimmed), *(_declared(trimmed, format_) for format_ in formats))


def is_iso_date(cell: pl.Expr) -> pl.Expr:
    """Whether the cell is exactly `YYYY-MM-DD` and that day exists, in the years 1000 to 9999; null for null."""
    return pl.when(cell.is_not_null()).then(cell.str.contains(f"^{_ISO_DATE}$") & _exists(cell))


def _exists(iso: pl.Expr) -> pl.Expr:
    return iso.str.to_date("%Y-%m-%d", strict=False).is_not_null()


def _iso(cell: pl.Expr) -> pl.Expr:
    day = cell.str.head(10)
    return pl.when(cell.str.contains(_ISO_MOMENT) & _exists(day)).then(day)


def _declared(cell: pl.Expr, format_: str) -> pl.Expr:
    shape = _shape(format_)
    # chrono's %f counts nanoseconds; its `%.f` is the fraction of a second that strptime means by `.%f`.
    day = cell.str.to_date(format_.replace(".%f", "%.f"), strict=False)
    return pl.when(cell.str.contains(shape)).then(day.dt.to_string("%Y-%m-%d"))


def _shape(format_: str) -> str:
    """A regex of what `format_` reads, and no more. Raises ConfigError as `date` says."""
    parts = parts_of(format_)
    neighbours = zip(["", *parts[:-1]], [*parts[1:], ""], strict=True)
    touches = (not _NUMBERS.isdisjoint(pair) for pair in neighbours)
    return f"^{''.join(map(_part_shape, parts, touches))}$"


def _part_shape(part: str, touches: bool) -> str:  # noqa: FBT001  # called by map, by position
    if part not in SHAPES:
        return pl.escape_regex(part)
    # Digits that touch must be padded: 2024115 is 15 January to one reader and 5 November to the next.
    return SHAPES[part].replace("{1,2}", "{2}") if touches else SHAPES[part]


# What format is a column in? -----------------------------------------------------------------------------------------

_DAYS: Final = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d")
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")

DATE_CANDIDATES: Final = (ISO, *(day + time for day in _DAYS for time in _TIMES))
"""The formats `date_evidence` tries. Dotted dates are day first wherever they are in use."""

_LIKE_A_DATE: Final = r"^[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}"


@dataclass(frozen=True, slots=True)
class DateEvidence:
    """How many of a column's cells each of `DATE_CANDIDATES` reads. `a + b` is the evidence of both chunks.

    filled     cells that are not empty
    counts     format -> cells it reads, where there are any; only day-first and month-first can read the same cell
    examples   format -> one of those cells, the first in order of text
    """

    filled: int = 0
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    examples: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __add__(self, other: "DateEvidence") -> "DateEvidence":
        seen = [format_ for format_ in DATE_CANDIDATES if format_ in self.counts or format_ in other.counts]
        counts = {format_: self.counts.get(format_, 0) + other.counts.get(format_, 0) for format_ in seen}
        examples = {
            format_: min(of.examples[format_] for of in (self, other) if format_ in of.examples) for format_ in seen
        }
        return DateEvidence(self.filled + other.filled, counts, examples)

    def formats(self) -> tuple[str, ...]:
        """The formats to declare, what reads most first. Of rivals the order that reads more, of equals neither."""
        lost = {format_ for pair in RIVALS for format_ in self._losers(*pair)}
        kept = [format_ for format_ in self.counts if format_ != ISO and format_ not in lost]
        return tuple(sorted(kept, key=lambda format_: (-self.counts[format_], DATE_CANDIDATES.index(format_))))

    def questions(self) -> tuple[tuple[str, str], ...]:
        """Day-first and month-first formats that read equally many cells: only a person can tell."""
        return tuple(pair for pair in RIVALS if 0 < self._order_count(pair[0]) == self._order_count(pair[1]))

    def share(self, formats: Sequence[str]) -> float:
        """How much of the filled cells ISO and `formats` read, 0 to 1; `formats` without rivals."""
        read = sum(self.counts.get(format_, 0) for format_ in {ISO, *formats})
        return read / self.filled if self.filled else 0.0

    def _order_count(self, day: str) -> int:
        return sum(self.counts.get(day + time, 0) for time in _TIMES)

    def _losers(self, first: str, second: str) -> list[str]:
        ahead = self._order_count(first) - self._order_count(second)
        days = [day for day, wins in ((first, ahead > 0), (second, ahead < 0)) if not wins]
        return [day + time for day in days for time in _TIMES]


def date_evidence(cells: pl.Series) -> DateEvidence:
    """What can be said about the dates of `cells` (String); blank cells do not count, sentinels do.

    The order of day and month is one decision for a column, times included: 31/12/2024 10:00 settles 03/04/2025 too.
    """
    filled = cells.to_frame("cell").select(text(pl.col("cell"))).drop_nulls()
    distinct = filled.filter(pl.col("cell").str.contains(_LIKE_A_DATE)).group_by("cell").len("rows")
    if distinct.is_empty():
        return DateEvidence(filled.height)
    answers = distinct.lazy().select(*(_reads(format_) for format_ in DATE_CANDIDATES)).collect().row(0, named=True)
    read = {format_: answer for format_, answer in answers.items() if answer["rows"]}
    return DateEvidence(
        filled.height,
        {format_: answer["rows"] for format_, answer in read.items()},
        {format_: answer["example"] for format_, answer in read.items()},
    )


def _reads(format_: str) -> pl.Expr:
    cell = pl.col("cell")
    fits = (_iso(cell) if format_ == ISO else _declared(cell, format_)).is_not_null()
    return pl.struct(rows=pl.col("rows").filter(fits).sum(), example=cell.filter(fits).min()).alias(format_)


# Damage --------------------------------------------------------------------------------------------------------------


def control_characters(cell: pl.Expr) -> pl.Expr:
    """Whether the cell holds a C0 control other than tab, LF and CR, or U+FFFD, the scar of a wrong decoding."""
    return cell.str.contains("[\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x{FFFD}]")


def phone(cell: pl.Expr) -> pl.Expr:
    """A telephone number without the text mark of a spreadsheet: `'+7916…` and `="+7916…"`. Anything else as it is.

    Exports put the mark there, or people do, so that no formula and no rounded number is made of it. It is no part
    of the number: nobody could be called by it.
    """
    formula = cell.str.starts_with('="') & cell.str.ends_with('"')
    inner = cell.str.strip_prefix('="').str.strip_suffix('"')
    return text(pl.when(formula).then(inner).otherwise(cell.str.strip_prefix("'")))


def scientific_phone(cell: pl.Expr) -> pl.Expr:
    """Whether the cell is a number a spreadsheet has rounded, `7.9E+10` or `7,9e10`: the digits are lost."""
    return cell.str.contains(r"^\+?[0-9]+(?:[.,][0-9]+)?[Ee]\+?[0-9]{1,2}$")

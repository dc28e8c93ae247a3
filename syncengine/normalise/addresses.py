"""Addresses: may this cell be sent, under which key is it known, and if not, why not.

Vectorised: one strict regex passes the plain majority; the rest is cleaned, split at its last `@` and judged half by
half, email-validator seeing each odd local part and each odd domain once. A list at one Cyrillic domain costs one
domain check (0.4 ms), not one for every row.

Policy. What is sent is the cell as spelled, but for what surrounds an address and is not part of it:

    blanks, zero-width and direction marks around it    removed
    `mailto:a@x.org`, `Name <a@x.org>`, Google's `* `   unwrapped; `a@x.org <a@x.org>` too, both being one contact
    capitals, plus tags, apostrophes within, hyphens    sent as they are; only the key folds case
    domain in Unicode or xn--, local part in Unicode    accepted, emoji too (RFC 6531); must be valid IDNA 2008
    `no-reply@`, `info@`, any role                      accepted

and everything else is held, never repaired:

    email-empty         nothing but blanks
    email-placeholder   words for "none" (n/a, -, null); `noemail@…` and its kin; `test@test.com`, `none@none.org`
    email-exchange      Outlook's `/o=ExchangeLabs/…` and `IMCEAEX-…`
    email-several       two or more different addresses; `split_addresses` gives them
    email-invalid       local part over 64 characters, whole over 254 bytes, label over 63; dots at an edge or doubled;
                        inner blanks, control or invisible characters; comments; quoted local parts; IP literals;
                        underscores in the domain; no dot in it; a top-level domain of one letter or with digits; an
                        apostrophe in front (a spreadsheet's text mark); Latin mixed with Cyrillic or Greek in one word

Reserved names follow one rule: refused where the RFCs say no mail can ever arrive (invalid, local, localhost, onion,
arpa), judged like any other name where they are reserved for documentation and tests (example, example.com, test).
"""

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import idna
import polars as pl

from syncengine.normalise.values import BLANKS, SENTINELS

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

__all__ = ["AddressCode", "address_key", "examine_addresses", "split_addresses"]


class AddressCode(StrEnum):
    """Why an address is held."""

    EMPTY = "email-empty"
    INVALID = "email-invalid"
    SEVERAL = "email-several"
    EXCHANGE = "email-exchange"
    PLACEHOLDER = "email-placeholder"


# What surrounds an address without being part of it: `BLANKS`, the joiners, direction marks, soft hyphen.
_AROUND: Final = BLANKS + "\xad\u180e\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

_MAX_BYTES: Final = 254  # RFC 5321 §4.5.3.1.3, RFC 3696 erratum 1690
_MAX_LOCAL: Final = 64  # RFC 5321 §4.5.3.1.1, characters; the service's own import says so too

# What it passes is fine when the whole is no longer than a local part may be: then no part of it is too long either,
# and one look at the length (4 ms a million) does for all three limits.
_PLAIN: Final = r"^[A-Za-z0-9_]+(?:[.+'-][A-Za-z0-9_]+)*@[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*\.[A-Za-z][A-Za-z]+$"
_PLAIN_DOMAIN: Final = r"^[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*\.[A-Za-z][A-Za-z]+$"
_LONG_LABEL: Final = r"[^.]{64}"
_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_DOT_ATOM: Final = rf"^{_ATEXT}+(?:\.{_ATEXT}+)*$"  # RFC 5322 §3.2.3
_RESERVED: Final = r"(?i)[@.](?:invalid|local|localhost|onion|arpa)$"  # RFC 6761, 6762, 7686

_NO_ADDRESS: Final = (
    r"no[._-]?(?:e[._-]?)?mail(?:[._-]?(?:address|provided|given))?"
    r"|not?[._-]?(?:available|provided|given)|keine?[._-]?e?[._-]?mail|pas[._-]?de?[._-]?mail"
    r"|sin[._-]?(?:correo|e?mail)|notiene|net[._-]?pochty"
)
_STAND_INS: Final = ("none", "null", "nil", "na", "no", "test", "email", "xxx", "asdf", "qwerty", "unknown", "noname")
_PLACEHOLDER: Final = (
    rf"^(?:(?:{_NO_ADDRESS})[._+-]?[0-9]*@|(?:{'|'.join(f'{word}@{word}' for word in _STAND_INS)})\.[a-z]+$)"
)
_NO_ADDRESS_WORDS: Final = SENTINELS | {
    "na", "nan", "no", "nil", ".", "?", "x", "xxx", "unknown", "missing", "not provided", "not available", "not given",
    "no email", "no e-mail", "no mail", "no-email", "noemail", "no address", "keine", "keine e-mail", "sin correo",
    "no tiene", "нет", "нет почты", "нет email", "нет e-mail", "неизвестно", "отсутствует", "жоқ", "немає",
}  # fmt: skip


def address_key(address: str) -> str:
    """The key under which every spelling of `address` meets: blanks, case, Unicode or xn-- domain. Never raises.

    Surrounding blanks go, the whole is case-folded and NFC, the domain becomes its A-labels (UTS 46, IDNA 2008, so
    `straße.de` is not `strasse.de`). What is no address at all is case-folded only.
    """
    trimmed = address.strip(_AROUND)
    local, at, domain = trimmed.rpartition("@")
    return f"{_folded(local)}@{_domain_key(domain)}" if at else _folded(trimmed)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _domain_key(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except ValueError:  # IDNAError is one; so is what idna raises for a joiner beside a character without a name
        return _folded(domain)


def examine_addresses(cells: pl.Series) -> pl.DataFrame:
    """What is to be sent for each cell, its key, and why not: `email`, `key`, `code`, `reason`, all String.

    Height and order are those of `cells` (String). `code` is an `AddressCode`, `code` and `reason` are null for an
    address that may be sent. `email` and `key` are null exactly where the code is `email-empty`; the `key` is
    `address_key(email)`, of a held cell too.
    """
    email = pl.col("email")
    frame = cells.cast(pl.String).alias("email").to_frame()
    frame = frame.select(email, key=email.str.to_lowercase(), plain=_is_plain(email).fill_null(value=False))
    plain = frame.drop_in_place("plain")
    if plain.all():
        return _passed(frame)
    return _interleaved(plain, _passed(frame.filter(plain)), _examine_unusual(frame["email"].filter(~plain)))


def _passed(frame: pl.DataFrame) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    return frame.select("email", "key", code=nothing, reason=nothing)


def _is_plain(cell: pl.Expr) -> pl.Expr:
    return (
        cell.str.contains(_PLAIN)
        & (cell.str.len_bytes() <= _MAX_LOCAL)
        & ~cell.str.contains(f"(?i){_PLACEHOLDER}")
        & ~cell.str.contains(_RESERVED)
    )


def split_addresses(cells: pl.Series) -> pl.Series:
    """The addresses within each cell, List(String), as spelled, each contact once; same height and order.

    Separated by `;` `,` `|` ` ::: ` line ends or blanks, names between them left out. The one that Google marks as
    primary (`* a@x.org`) comes first. A cell without two addresses gives itself, unwrapped; an empty one an empty list.
    """
    whole = _unwrapped(cells.cast(pl.String))
    crowded = whole.str.count_matches("@", literal=True).fill_null(0) > 1
    nothing = pl.lit([], pl.List(pl.String))
    alone = whole.to_frame("cell").select(
        pieces=pl.when(pl.col("cell").is_null()).then(nothing).otherwise(pl.concat_list("cell"))
    )
    if crowded.any():
        alone = _interleaved(crowded, _pieces(whole.filter(crowded)), alone.filter(~crowded))
    return alone.to_series().alias(cells.name)


# Cleaning and splitting ----------------------------------------------------------------------------------------------

_IN_BRACKETS: Final = r"(?s)^[^<>@]*<([^<>@]*@[^<>]*)>$"
_MARKS: Final = r"^(?:\*\s+)?(?i:mailto:\s*)?"
_PIECE: Final = r"(?:\*\s+)?[^\s@;,|<>()\[\]\":；，、/][^\s@;,|<>()\[\]\":；，、]*@[^\s@;,|<>()\[\]\":；，、/]+"


def _unwrapped(cells: pl.Series) -> pl.Series:
    """The cells without what surrounds one address; null for an empty one."""
    trimmed = cells.str.strip_chars(_AROUND).replace("", None)
    dressed = trimmed.str.contains("[<*:]").fill_null(value=False)  # `replace` takes ten times as long as `contains`
    if not dressed.any():
        return trimmed
    bare = pl.col("cell").str.replace(_IN_BRACKETS, "$1").str.strip_chars(_AROUND).str.replace(_MARKS, "")
    undressed = trimmed.filter(dressed).to_frame("cell").select(bare.str.strip_chars(_AROUND).replace("", None))
    return _interleaved(dressed, undressed, trimmed.filter(~dressed).to_frame("cell")).to_series()


def _pieces(cells: pl.Series) -> pl.DataFrame:
    """`pieces` of each cell: its different addresses, or the cell where it does not hold two."""
    found = cells.to_frame("cell").with_row_index("row").with_columns(piece=pl.col("cell").str.extract_all(_PIECE))
    parts = (
        found.filter(pl.col("piece").list.len() > 1)
        .explode("piece")
        .select(
            "row",
            primary=pl.col("piece").str.contains(r"^\*\s"),
            piece=pl.col("piece").str.replace(_MARKS, "").str.strip_chars(_AROUND),
        )
    )
    parts = (
        parts.with_columns(key=address_keys(parts["piece"]))
        .sort("row", ~pl.col("primary"), maintain_order=True)
        .unique(["row", "key"], keep="first", maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg(pieces="piece")
    )
    joined = found.join(parts, on="row", how="left", maintain_order="left")
    return joined.select(pieces=pl.coalesce("pieces", pl.concat_list("cell")))


def _interleaved(mask: pl.Series, chosen: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """`chosen` in the rows where `mask` is true, `others` in the rest."""
    places = pl.concat([mask.arg_true(), (~mask).arg_true()])
    return pl.concat([chosen, others]).select(pl.all().gather(places.arg_sort()))


# Keys of many --------------------------------------------------------------------------------------------------------

_LOCAL: Final = pl.col("email").str.extract(r"(?s)^(.*)@", 1)
_DOMAIN: Final = pl.col("email").str.extract(r"@([^@]*)$", 1)


def address_keys(emails: pl.Series) -> pl.Series:
    """`address_key` of each address, which has no blanks around it; null for null. In ASCII it is the lower case."""
    if not _foreign(emails).any():
        return emails.str.to_lowercase()
    halves = emails.alias("email").to_frame().select("email", local=_LOCAL, domain=_DOMAIN)
    local, domain = halves["local"], halves["domain"]
    address = _folded_each(local, _folded) + "@" + _folded_each(domain, _domain_key)
    split = domain.is_not_null()
    return address.zip_with(split, _folded_each(halves["email"].set(split, None), _folded))


def _foreign(texts: pl.Series) -> pl.Series:
    """Which are not ASCII; not null."""
    return (texts.str.len_bytes() != texts.str.len_chars()).fill_null(value=False)


def _folded_each(texts: pl.Series, fold: Callable[[str], str]) -> pl.Series:
    """`fold` of each text, which of ASCII is the lower case."""
    foreign = _foreign(texts)
    return _per_distinct(texts.set(~foreign, None), fold).zip_with(foreign, texts.str.to_lowercase())


def _per_distinct(values: pl.Series, function: Callable[[str], str | None]) -> pl.Series:
    """`function` of each value, asked once for each distinct one; null for null."""
    distinct = values.drop_nulls().unique()
    answers = pl.Series([function(value) for value in distinct], dtype=pl.String)
    return values.replace_strict(distinct, answers, default=None, return_dtype=pl.String)


# Verdicts ------------------------------------------------------------------------------------------------------------

_CONTROL: Final = r"[\x00-\x1F\x7F-\x9F\x{FFFD}]"
_NOT_LATIN: Final = ("CYRILLIC", "GREEK")  # the two whose letters pass for Latin ones


def _examine_unusual(cells: pl.Series) -> pl.DataFrame:
    """`examine_addresses` for cells that are not plain as they stand; most are when undressed."""
    frame = pl.DataFrame({"whole": _unwrapped(cells), "pieces": split_addresses(cells)}).select(
        pl.when(pl.col("pieces").list.len() == 1).then(pl.col("pieces").list.first()).otherwise("whole").alias("email"),
        pl.col("pieces").list.len().alias("count"),
    )
    frame = frame.with_columns(key=address_keys(frame["email"]))
    plain = frame.select(_is_plain(pl.col("email")).fill_null(value=False)).to_series()
    return _interleaved(plain, _passed(frame.filter(plain)), _judged(frame.filter(~plain)))


def _judged(frame: pl.DataFrame) -> pl.DataFrame:
    """`email` and `key` of `frame` with the first fault of each, if any; `count` is how many addresses a cell holds."""
    faults = _shape_faults()
    frame = frame.with_columns(
        code=pl.coalesce([pl.when(met).then(pl.lit(code.value)) for met, code, _ in faults]),
        reason=pl.coalesce([pl.when(met).then(reason) for met, _, reason in faults]),
    )
    reason = pl.coalesce("reason", *_half_faults(frame), _too_long(pl.col("key")))
    code = pl.coalesce("code", pl.when(reason.is_not_null()).then(pl.lit(AddressCode.INVALID.value)))
    return frame.select("email", "key", code=code, reason=reason)


def _shape_faults() -> list[tuple[pl.Expr, AddressCode, pl.Expr]]:
    """What is wrong with the cell as a whole: condition, code, reason; the first that is met counts.

    The commonest junk is told here, so that email-validator (20 to 40 µs) does not see a million of it.
    """
    email, key, count = pl.col("email"), pl.col("key"), pl.col("count")
    no_at = ~email.str.contains("@", literal=True)
    invalid = AddressCode.INVALID
    return [
        (email.is_null(), AddressCode.EMPTY, pl.lit("The cell is empty.")),
        (count > 1, AddressCode.SEVERAL, pl.format("There are {} addresses in one cell.", count)),
        (
            key.str.contains(r"^(?:ex:)?/o=|^imceaex-"),
            AddressCode.EXCHANGE,
            pl.lit("This is where Exchange keeps the contact, not an email address."),
        ),
        (
            (no_at & key.is_in(list(_NO_ADDRESS_WORDS))) | key.str.contains(_PLACEHOLDER),
            AddressCode.PLACEHOLDER,
            pl.lit("This stands for a missing address."),
        ),
        (email.str.contains("[＠﹫]"), invalid, pl.lit("The @-sign is not the plain one: ＠ or ﹫.")),
        (no_at, invalid, pl.lit("An email address must have an @-sign.")),
        (_too_long(email).is_not_null(), invalid, _too_long(email)),
        (email.str.contains(_CONTROL), invalid, pl.lit("There is a control or replacement character in the address.")),
        (email.str.contains(r"\s"), invalid, pl.lit("There is a blank in the address.")),
        (email.str.contains('["<>]'), invalid, pl.lit("There are quotation marks or angle brackets in the address.")),
        (
            email.str.starts_with("'"),
            invalid,
            pl.lit("The address starts with an apostrophe, a spreadsheet's text mark."),
        ),
        (email.str.count_matches("@", literal=True) > 1, invalid, pl.lit("There is more than one @-sign.")),
        (email.str.contains(r"@[A-Za-z0-9-]+$"), invalid, pl.lit("There is no period after the @-sign.")),
    ]


def _too_long(text: pl.Expr) -> pl.Expr:
    size = text.str.len_bytes()
    reason = pl.format("The email address is too long ({} bytes, {} is the most).", size, pl.lit(_MAX_BYTES))
    return pl.when(size > _MAX_BYTES).then(reason)


def _half_faults(frame: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """What is wrong with the local part and with the domain of each row that has no fault yet."""
    plain_local = _LOCAL.str.contains(_DOT_ATOM) & (_LOCAL.str.len_bytes() <= _MAX_LOCAL)
    plain_domain = _DOMAIN.str.contains(_PLAIN_DOMAIN) & ~_DOMAIN.str.contains(_LONG_LABEL + "|" + _RESERVED)
    odd = frame.select(
        local=pl.when(pl.col("code").is_null() & ~plain_local).then(_LOCAL),
        domain=pl.when(pl.col("code").is_null() & ~plain_domain).then(_DOMAIN),
    )
    return _per_distinct(odd["local"], _local_fault), _per_distinct(odd["domain"], _domain_fault)


def _local_fault(local: str) -> str | None:
    return _validated(f"{local}@example.com")[1] or _mixed_alphabets(local)


def _domain_fault(domain: str) -> str | None:
    address, fault = _validated(f"x@{domain}")
    if address is None:
        return fault
    if re.search(r"\.(?:[a-z]|[^.]*[\d-][^.]*)$", address.domain):
        return "The part after the last period is not a top-level domain."
    return _mixed_alphabets(address.domain)


def _validated(address: str) -> "tuple[ValidatedEmail, None] | tuple[None, str]":
    """email-validator's reading of `address`, or its words against it."""
    from email_validator import validate_email  # noqa: PLC0415  # 60 ms, and most lists never need it

    try:
        # A test environment differs in one thing that matters here: names under .test are taken.
        return validate_email(address, check_deliverability=False, strict=True, test_environment=True), None
    except ValueError as error:  # EmailNotValidError is one; so is what idna raises for some unassigned characters
        return None, str(error)


def _mixed_alphabets(text: str) -> str | None:
    """Why `text` may be a look-alike: a word of Latin with Cyrillic or Greek, from the wrong keyboard or a thief."""
    for word in re.findall(r"[^\W\d_]+", text):
        names = {letter: unicodedata.name(letter, "") for letter in word}
        stranger = next((letter for letter in word if names[letter].startswith(_NOT_LATIN)), None)
        if stranger and any(name.startswith("LATIN") for name in names.values()):
            return f"The address mixes alphabets: {stranger!r} is a {names[stranger].capitalize()}."
    return None

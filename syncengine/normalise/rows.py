"""Raw rows → what each asks for, or why it is held. Pure: frames in, frames out.

A held row keeps its first fault only, in this order: empty row, hold rules, control characters, id, address,
subscription, dates, phone numbers. Nothing is repaired silently and nothing is given a default.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

import polars as pl
import polars_hash  # noqa: F401  # registers the namespace `nchash`

from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    CODE,
    EMAIL,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    NAME,
    ORDINAL,
    REASON,
    ROW,
    SOURCE,
    source_column,
    variable_column,
)
from syncengine.model import FINGERPRINT_SCHEME, VariableType
from syncengine.normalise.addresses import examine_addresses, split_addresses
from syncengine.normalise.mapping import ActiveRule, EmailRule, Empty, HoldRule, Mapping, OnError, Several, VariableRule
from syncengine.normalise.values import (
    DATE_SENTINELS,
    blank_sentinels,
    boolean,
    control_characters,
    date,
    inverted_boolean,
    phone,
    scientific_phone,
    text,
)

MAX_KEY = 512  #: characters of an id

_FIELD_END = "\x1e"
_NAME_END = "\x1f"  # neither can stand in a cell: control characters hold the row
_ADDRESS = pl.Struct({EMAIL: pl.String, KEY: pl.String, CODE: pl.String, REASON: pl.String})


def normalise(rows: pl.LazyFrame, mapping: Mapping, *, columns: tuple[str, ...], plain: bool = False) -> pl.LazyFrame:
    """RAW → DESIRED (see `frames`), same height and order.

    `columns` are the source's; they travel on as the struct `source`, under their own names. `plain` promises that no
    cell holds a control character.
    """
    for step in _steps(mapping, columns, plain=plain):
        rows = rows.with_columns(step)
    return rows.select(
        ORDINAL,
        ROW,
        KEY,
        KEY_HASH,
        EMAIL,
        ADDRESS,
        NAME,
        ACTIVE,
        *(variable_column(name) for name in sorted(rule.name for rule in mapping.variables)),
        FINGERPRINT,
        CODE,
        REASON,
        SOURCE,
    )


@lru_cache(maxsize=8)
def _steps(mapping: Mapping, columns: tuple[str, ...], *, plain: bool) -> tuple[tuple[pl.Expr, ...], ...]:
    """Columns to add one after the other. Kept, because telling polars of them takes as long as 1,000 rows."""
    variables = sorted(mapping.variables, key=lambda rule: rule.name)
    examined, fault = pl.col("examined").struct, pl.col("fault").struct
    return (
        (pl.struct(_cell(column).alias(column) for column in columns).alias(SOURCE),),
        (
            _examined(mapping.email).alias("examined"),
            _subscribed(mapping).alias(ACTIVE),
            (text(_cell(mapping.name)) if mapping.name else pl.lit(None, pl.String)).alias(NAME),
            *(_value(rule, mapping.sentinels).alias(variable_column(rule.name)) for rule in variables),
        ),
        (
            examined.field(EMAIL),
            examined.field(KEY).alias(ADDRESS),
            (text(_cell(mapping.key)) if mapping.key else examined.field(KEY)).alias(KEY),
        ),
        (_fault(mapping, columns, plain=plain).alias("fault"),),
        (fault.field(CODE), fault.field(REASON)),
        (hash_of(pl.col(KEY)).alias(KEY_HASH), fingerprint(tuple(rule.name for rule in variables))),
    )


def fingerprint(variables: tuple[str, ...]) -> pl.Expr:
    """Hash of everything that is sent for a contact: address, name, subscription, and each variable that has a value.

    Variables count by name, so that neither their order nor a new column that is empty for a contact changes it;
    the address counts in its normal form, so that a change of spelling is no change.
    """
    fields = [
        pl.lit(f"{FINGERPRINT_SCHEME}{_FIELD_END}"),
        pl.col(KEY) + _FIELD_END,
        pl.col(ADDRESS) + _FIELD_END,
        _NAME_END + pl.col(NAME) + _FIELD_END,
        pl.when(pl.col(ACTIVE)).then(pl.lit("1")).otherwise(pl.lit("0")),
        *(pl.lit(name + _NAME_END) + pl.col(variable_column(name)) + pl.lit(_FIELD_END) for name in sorted(variables)),
    ]
    return hash_of(pl.concat_str(fields, ignore_nulls=True)).alias(FINGERPRINT)


def key_hashes(keys: pl.Series) -> pl.Series:
    """xxh3-64 of each key, as in the frames."""
    if keys.is_empty():
        return pl.Series(KEY_HASH, dtype=pl.UInt64)
    return keys.to_frame("k").select(hash_of(pl.col("k"))).to_series().alias(KEY_HASH)


def _cell(column: str) -> pl.Expr:
    return pl.col(source_column(column))


def hash_of(expression: pl.Expr) -> pl.Expr:
    """xxh3-64 of a text, as kept in the state."""
    return expression.nchash.xxh3_64()  # type: ignore[attr-defined, no-any-return]  # polars-hash registers it


def _examined(rule: EmailRule) -> pl.Expr:
    cells = [text(_cell(column)) for column in rule.columns]
    first = _judged(pl.coalesce(cells), rule.several)
    if len(cells) == 1:
        return first
    each = [_judged(cell, rule.several) for cell in cells]
    usable = [pl.when(address.struct.field(CODE).is_null()).then(address) for address in each]
    return pl.coalesce([*usable, first])


def _judged(cell: pl.Expr, several: Several) -> pl.Expr:
    if several is Several.FIRST:
        cell = cell.map_batches(lambda cells: split_addresses(cells).list.first(), return_dtype=pl.String)
    return cell.map_batches(lambda cells: examine_addresses(cells).to_struct(), return_dtype=_ADDRESS)


def _subscribed(mapping: Mapping) -> pl.Expr:
    """What `active` says, and false for whoever opted out, be the cell of `active` readable or not."""
    if not mapping.opt_outs:
        return _active(mapping.active)
    left = pl.any_horizontal(_met(rule, text(_cell(rule.column))) for rule in mapping.opt_outs)
    return _active(mapping.active) & ~left


def _active(rule: ActiveRule) -> pl.Expr:
    if rule.column is None:
        return pl.lit(rule.constant, pl.Boolean)
    cell = text(_cell(rule.column))
    answer = inverted_boolean(cell) if rule.invert else boolean(cell)
    if rule.empty is None:
        return answer
    return pl.when(cell.is_null()).then(pl.lit(rule.empty != rule.invert)).otherwise(answer)


def _filled(rule: VariableRule, sentinels: tuple[str, ...]) -> pl.Expr:
    """The cell of a variable, null where it is empty or says so in words."""
    cell = text(_cell(rule.column))
    cell = phone(cell) if rule.phone else cell
    if rule.type is VariableType.DATE:
        return blank_sentinels(cell, DATE_SENTINELS.union(sentinels))
    return blank_sentinels(cell, sentinels) if sentinels else cell


def _value(rule: VariableRule, sentinels: tuple[str, ...]) -> pl.Expr:
    cell = _filled(rule, sentinels)
    if rule.type is VariableType.DATE:
        return date(cell, rule.formats)
    if rule.phone:
        cell = pl.when(~scientific_phone(cell)).then(cell)
    return cell.fill_null("") if rule.empty is Empty.SEND else cell


# -- conditions -------------------------------------------------------------------------------------------------------


def _met(rule: HoldRule, cell: pl.Expr) -> pl.Expr:
    """Whether `cell` (trimmed, null where empty) meets `rule`; never null."""
    folded = cell.str.to_lowercase()
    if rule.not_empty:
        return cell.is_not_null()
    if rule.yes:
        return ~inverted_boolean(cell).fill_null(value=True)
    if rule.like:
        return folded.str.contains("|".join(map(_glob, _folded(rule.like)))).fill_null(value=False)
    if rule.none_of:
        return ~folded.fill_null("").is_in(_folded(rule.none_of))
    return folded.is_in(_folded(rule.values)).fill_null(value=False)


def _glob(pattern: str) -> str:
    """A glob of `*` and `?` as a regex of polars; fnmatch's own translation uses what its engine does not have."""
    literal = pl.escape_regex(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return f"^(?s:{literal})$"


def _folded(words: Iterable[str]) -> list[str]:
    return [word.strip().lower() for word in words]


def opted_out(rules: tuple[HoldRule, ...], cell: Callable[[str], pl.Expr]) -> pl.Expr:
    """Why a row's person opted out, for people; null where nothing says so. `cell` gives the cell of a column."""
    told = [pl.when(_met(rule, text(cell(rule.column)))).then(_said(rule, text(cell(rule.column)))) for rule in rules]
    return pl.coalesce([*told, pl.lit(None, pl.String)])


def _said(rule: HoldRule, cell: pl.Expr) -> pl.Expr:
    return pl.format(f"{_braced(rule.column)} is {{}}", _shown(cell.fill_null("")))


# -- faults -----------------------------------------------------------------------------------------------------------


def _fault(mapping: Mapping, columns: tuple[str, ...], *, plain: bool) -> pl.Expr:
    """Struct {code, reason} of the first fault of each row; nulls where it has none."""
    address = pl.col("examined").struct
    faults = [
        _when(
            pl.all_horizontal(_cell(column).is_null() for column in columns),
            "row-empty",
            pl.lit("every cell of the row is empty"),
        ),
        *(_held_by(rule) for rule in mapping.holds),
        *([] if plain else [_control_characters(mapping)]),
        *(_key_faults(mapping.key) if mapping.key else []),
        _when(address.field(CODE).is_not_null(), address.field(CODE), address.field(REASON)),
        *(_active_faults(mapping.active) if mapping.active.column else []),
        *(_unreadable(rule) for rule in mapping.opt_outs if rule.yes),
        *(_date_fault(rule, mapping.sentinels) for rule in mapping.variables if _holds_on_date(rule)),
        *(_phone_fault(rule) for rule in mapping.variables if rule.phone and rule.on_error is OnError.HOLD),
    ]
    return pl.coalesce(faults)


def _when(condition: pl.Expr, code: str | pl.Expr, reason: pl.Expr) -> pl.Expr:
    value = pl.lit(code) if isinstance(code, str) else code
    return pl.when(condition).then(pl.struct(value.alias(CODE), reason.alias(REASON)))


def _held_by(rule: HoldRule) -> pl.Expr:
    cell = text(_cell(rule.column))
    return _when(_met(rule, cell), rule.code, _said(rule, cell))


def _control_characters(mapping: Mapping) -> pl.Expr:
    read = [_cell(column) for column in mapping.columns()]
    return _when(
        control_characters(pl.concat_str(read, ignore_nulls=True)).fill_null(value=False),
        "control-character",
        pl.lit("a cell holds a control character"),
    )


def _key_faults(column: str) -> list[pl.Expr]:
    return [
        _when(pl.col(KEY).is_null(), "key-empty", pl.lit(f"{column} is empty")),
        _when(
            pl.col(KEY).str.len_chars() > MAX_KEY,
            "key-too-long",
            pl.lit(f"{column} is longer than {MAX_KEY} characters"),
        ),
    ]


def _active_faults(rule: ActiveRule) -> list[pl.Expr]:
    column = rule.column or ""
    cell = text(_cell(column))
    return [
        _when(pl.col(ACTIVE).is_null() & cell.is_null(), "active-empty", pl.lit(f"{column} is empty")),
        _when(pl.col(ACTIVE).is_null(), "active-unreadable", _neither(column, cell)),
    ]


def _unreadable(rule: HoldRule) -> pl.Expr:
    """A yes-or-no column of opt-outs with another word in it: nobody is subscribed on a guess."""
    cell = text(_cell(rule.column))
    return _when(
        cell.is_not_null() & inverted_boolean(cell).is_null(), "active-unreadable", _neither(rule.column, cell)
    )


def _neither(column: str, cell: pl.Expr) -> pl.Expr:
    return pl.format(f"{_braced(column)}: {{}} is neither yes nor no", _shown(cell))


def _holds_on_date(rule: VariableRule) -> bool:
    return rule.type is VariableType.DATE and rule.on_error is OnError.HOLD


def _date_fault(rule: VariableRule, sentinels: tuple[str, ...]) -> pl.Expr:
    cell = _filled(rule, sentinels)
    formats = " or ".join(("YYYY-MM-DD", *rule.formats))
    return _when(
        cell.is_not_null() & pl.col(variable_column(rule.name)).is_null(),
        "date-unreadable",
        pl.format(f"{_braced(rule.column)}: {{}} is no date ({_braced(formats)})", _shown(cell)),
    )


def _phone_fault(rule: VariableRule) -> pl.Expr:
    cell = text(_cell(rule.column))
    return _when(
        scientific_phone(phone(cell)).fill_null(value=False),
        "phone-scientific",
        pl.format(f"{_braced(rule.column)}: {{}} is a rounded number, its digits are lost", _shown(cell)),
    )


def _shown(cell: pl.Expr) -> pl.Expr:
    """A cell within a sentence: quoted, cut to 80 characters."""
    return pl.format('"{}"', cell.str.slice(0, 80))


def _braced(template: str) -> str:
    """A column name within a format template, its own braces kept."""
    return template.replace("{", "{{").replace("}", "}}")

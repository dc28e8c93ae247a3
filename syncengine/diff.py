"""Desired × snapshot → changes. Pure: frames in, frames out; nothing here depends on the order of rows.

What counts as a difference
 - only what is mapped: variables of the list that no column feeds are neither compared nor touched;
 - an empty cell clears a value the list holds (`Empty.CLEAR`), leaves it (`SKIP`), or is a value (`SEND`); dates
   are never cleared, since the API wants YYYY-MM-DD there;
 - an address in another spelling is the same address; another address under the same id is a rename;
 - `active` after the ratchet: see `_ratcheted`;
 - a contact whose last request has no known outcome differs from whatever the source says, and is sent whole.
"""

from collections.abc import Collection, Mapping

import polars as pl

from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    AFTER,
    CONTACT,
    CONTENT_UNKNOWN,
    EMAIL,
    FIELD_LIST,
    FIELDS,
    FINGERPRINT,
    IN_DOUBT,
    KEY,
    KEY_HASH,
    KNOWN,
    KNOWN_FINGERPRINT,
    LEFT_SOURCE,
    LEVEL,
    NAME,
    NOT_BEFORE,
    OP,
    ORDINAL,
    REMOVED,
    REPLACES,
    ROW,
    SOURCE,
    VARIABLES,
    variable_column,
)
from syncengine.model import Consent, Op
from syncengine.normalise.mapping import Empty, VariableRule
from syncengine.normalise.rows import fingerprint
from syncengine.wire import variable_columns, variable_json

SAME = "same"
CHANGE_COLUMNS = (
    ORDINAL,
    ROW,
    KEY,
    KEY_HASH,
    EMAIL,
    ADDRESS,
    NAME,
    ACTIVE,
    FINGERPRINT,
    SOURCE,
    OP,
    KNOWN,
    CONTACT,
    VARIABLES,
    AFTER,
    FIELDS,
    LEVEL,
    REPLACES,
    NOT_BEFORE,
    KNOWN_FINGERPRINT,
)

_IN_DOUBT = pl.col(KNOWN_FINGERPRINT) == IN_DOUBT
_NOTHING = pl.lit(None, pl.String)
_BEFORE = "before:"  #: a variable as the list has it, by name
_PLACE = "place"


def diff(
    desired: pl.DataFrame,
    snapshot: pl.DataFrame,
    *,
    variables: Collection[VariableRule],
    named: bool,
    consent: Consent,
    off: pl.Series,
) -> pl.DataFrame:
    """Every desired contact with its `op`: add, update, rename or "same", and what differs. In order of `ordinal`.

    desired    DESIRED without held rows, key unique
    snapshot   SNAPSHOT rows of these keys (others are ignored), key unique
    named      whether a column feeds the name; where none does, the name the list has stays
    off        addresses known to have unsubscribed, complained, hard-bounced or been removed

    For "same" nothing is to be sent, though the fingerprint may be new to the state.
    """
    known = snapshot.select(
        KEY,
        pl.col(EMAIL).alias("known_email"),
        pl.col(ADDRESS).alias("known_address"),
        pl.col(NAME).alias("known_name"),
        pl.col(ACTIVE).alias("known_active"),
        pl.col(VARIABLES).alias("known_variables"),
        pl.col(FINGERPRINT).alias(KNOWN_FINGERPRINT),
    )
    paired = _paired(desired, known)
    rules = tuple(sorted(variables, key=lambda rule: rule.name))
    paired = _lowered(paired, _ratcheted(consent, off), rules).with_columns(
        pl.col(NAME if named else "known_name").alias(NAME)
    )
    if not paired[KNOWN].any():
        return _in_order(_additions(paired, rules))
    if paired[KNOWN].all():
        return _in_order(_differences(paired, rules))
    strangers = paired.filter(~pl.col(KNOWN))
    acquainted = paired.filter(pl.col(KNOWN))
    return _in_order(pl.concat([_additions(strangers, rules), _differences(acquainted, rules)]))


def _paired(desired: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """`desired` with what is known of each, and `known`: whether anything is. A first load is not moved for this."""
    if known.is_empty():
        nothing = [pl.lit(None, dtype).alias(name) for name, dtype in known.schema.items() if name != KEY]
        return desired.with_columns(*nothing, pl.lit(value=False).alias(KNOWN))
    return desired.join(known, on=KEY, how="left", maintain_order="left").with_columns(
        pl.col("known_email").is_not_null().alias(KNOWN)
    )


def _in_order(changes: pl.DataFrame) -> pl.DataFrame:
    """By `ordinal`; whole rows are moved only where they are not in order."""
    return changes if changes[ORDINAL].is_sorted() else changes.sort(ORDINAL)


def departures(gone: pl.DataFrame, op: Op) -> pl.DataFrame:
    """Contacts of the snapshot that left the source → CHANGE. `op` is unsubscribe or remove.

    Whoever is unsubscribed already is left out: there is nothing to send. An unsubscribe carries the whole known
    state besides `active`, because the documents do not say whether an update without a field erases it.
    """
    if op is Op.UNSUBSCRIBE:
        gone = gone.filter(pl.col(ACTIVE) | (pl.col(FINGERPRINT) == IN_DOUBT))
    lowered = pl.concat_list(
        pl.struct(pl.lit(ACTIVE).alias("field"), pl.lit("true").alias("before"), pl.lit("false").alias("after"))
    ).alias(FIELDS)
    return gone.select(
        pl.lit(None, pl.UInt64).alias(ORDINAL),
        pl.lit(None, pl.UInt64).alias(ROW),
        KEY,
        KEY_HASH,
        EMAIL,
        ADDRESS,
        NAME,
        pl.lit(value=False).alias(ACTIVE),
        pl.lit(LEFT_SOURCE if op is Op.UNSUBSCRIBE else REMOVED, pl.UInt64).alias(FINGERPRINT),
        pl.lit(None).alias(SOURCE),
        pl.lit(op.value).alias(OP),
        pl.lit(value=True).alias(KNOWN),
        pl.col(EMAIL).alias(CONTACT),
        VARIABLES,
        pl.col(VARIABLES).alias(AFTER),
        lowered if op is Op.UNSUBSCRIBE else _no_fields(),
        *_no_ties(),
        pl.col(FINGERPRINT).alias(KNOWN_FINGERPRINT),
    ).sort(KEY)


def _ratcheted(consent: Consent, off: pl.Series) -> pl.Expr:
    """The consent ratchet. A contact known to be off is never sent as on, not under a new address either; where
    SmartSender decides (`keep`), one that our state has as off stays off. Contacts the state does not have are the
    file's to decide here: under `keep` the settlement holds those that turn out to exist.
    """
    is_off = pl.col(ADDRESS).is_in(off.implode()) | pl.col("known_address").is_in(off.implode()).fill_null(value=False)
    allowed = pl.col(ACTIVE) & ~is_off
    if consent is Consent.KEEP:
        allowed &= pl.col("known_active").fill_null(value=True)
    return allowed


def _lowered(rows: pl.DataFrame, allowed: pl.Expr, rules: tuple[VariableRule, ...]) -> pl.DataFrame:
    """`rows` with the subscription they may have, and the fingerprint of what is sent where that is not what the row
    says: what the list holds then, and what a refusal is remembered by. Such a row is looked at in every run.
    """
    told = rows.with_columns(
        (((pl.col(ACTIVE) & ~allowed) | (pl.col(FINGERPRINT) == CONTENT_UNKNOWN)).alias("not the row's")),
        (pl.col(ACTIVE) & allowed).alias(ACTIVE),
    )
    if told["not the row's"].any():
        own = fingerprint(tuple(rule.name for rule in rules))
        told = told.with_columns(pl.when("not the row's").then(own).otherwise(FINGERPRINT).alias(FINGERPRINT))
    return told.drop("not the row's")


def _additions(strangers: pl.DataFrame, rules: tuple[VariableRule, ...]) -> pl.DataFrame:
    return strangers.with_columns(
        pl.lit(Op.ADD.value).alias(OP),
        pl.col(EMAIL).alias(CONTACT),
        variable_json([(rule.name, pl.col(variable_column(rule.name))) for rule in rules]).alias(VARIABLES),
        _no_fields(),
        *_no_ties(),
    ).select(*(pl.col(VARIABLES).alias(AFTER) if name == AFTER else pl.col(name) for name in CHANGE_COLUMNS))


def _no_fields() -> pl.Expr:
    return pl.lit([], FIELD_LIST).alias(FIELDS)


def _no_ties() -> tuple[pl.Expr, ...]:
    """Nobody has to go first, nobody is taken over from, nobody has to be waited for: planning may find otherwise."""
    return (
        pl.lit(0, pl.UInt32).alias(LEVEL),
        pl.lit(None, pl.String).alias(REPLACES),
        pl.lit(0.0, pl.Float64).alias(NOT_BEFORE),
    )


def _differences(acquainted: pl.DataFrame, rules: tuple[VariableRule, ...]) -> pl.DataFrame:
    """Column by column: a row for each contact and variable, and joins of those, took three times as long."""
    listed = variable_columns(acquainted["known_variables"])
    told = acquainted.with_columns(values.alias(_BEFORE + name) for name, values in listed.items())
    before = {name: pl.col(_BEFORE + name) for name in listed}
    now = {rule.name: _wanted(rule, before.get(rule.name, _NOTHING)) for rule in rules}
    # What an empty cell leaves alone is sent as it is known: an update without it may erase it (smartsender.md §1.7).
    sent = {name: pl.coalesce(value, before.get(name, _NOTHING)) for name, value in now.items()}
    after = variable_json(sorted({**before, **sent}.items())) if before.keys() - sent.keys() else pl.col(VARIABLES)
    moves = pl.col(ADDRESS) != pl.col("known_address")
    op = (
        pl.when((pl.col(FIELDS).list.len() == 0) & ~_IN_DOUBT)
        .then(pl.lit(SAME))
        .when(moves)
        .then(pl.lit(Op.RENAME.value))
        .otherwise(pl.lit(Op.UPDATE.value))
    )
    may_be_named = _IN_DOUBT | (pl.col("known_name") != "")
    cleared_name = pl.when(pl.col(NAME).is_null() & may_be_named).then(pl.lit("")).otherwise(NAME)
    return (
        told.with_columns(variable_json(list(sent.items())).alias(VARIABLES), _differing_fields(told, before, now))
        .with_columns(
            after.alias(AFTER),
            op.alias(OP),
            cleared_name.alias(NAME),
            pl.col("known_email").alias(CONTACT),
            pl.when(moves).then(EMAIL).otherwise("known_email").alias(EMAIL),
            *_no_ties(),
        )
        .select(CHANGE_COLUMNS)
    )


def _wanted(rule: VariableRule, before: pl.Expr) -> pl.Expr:
    """The value a row asks for; null where it leaves alone what the list has."""
    cell = pl.col(variable_column(rule.name)).cast(pl.String)
    if rule.empty is not Empty.CLEAR or not rule.may_be_cleared:
        return cell
    may_have_one = before.is_not_null() | _IN_DOUBT  # in doubt, whatever the snapshot says
    return pl.when(cell.is_null() & may_have_one).then(pl.lit("")).otherwise(cell)


def _differing_fields(told: pl.DataFrame, before: Mapping[str, pl.Expr], now: Mapping[str, pl.Expr]) -> pl.Series:
    """What differs in each contact, in the order of the names of fields."""
    was_named, named = pl.col("known_name"), pl.col(NAME).fill_null("")
    fields = {
        EMAIL: (pl.col("known_email"), pl.col(EMAIL), pl.col(ADDRESS) != pl.col("known_address")),
        NAME: (was_named, named, named != was_named.fill_null("")),
        ACTIVE: (
            pl.col("known_active").cast(pl.String),
            pl.col(ACTIVE).cast(pl.String),
            pl.col(ACTIVE) != pl.col("known_active"),
        ),
    }
    for name, value in now.items():
        was = before.get(name, _NOTHING)
        fields[name] = (was, value, value.is_not_null() & was.ne_missing(value))
    placed = told.with_row_index(_PLACE)
    differences = pl.concat(
        placed.filter(differs).select(
            _PLACE, pl.struct(pl.lit(name).alias("field"), was.alias("before"), value.alias("after")).alias(FIELDS)
        )
        for name, (was, value, differs) in sorted(fields.items())
    )
    lists = differences.group_by(_PLACE, maintain_order=True).agg(FIELDS)
    each = placed.select(_PLACE).join(lists, on=_PLACE, how="left", maintain_order="left")
    return each.select(pl.col(FIELDS).fill_null(pl.lit([], FIELD_LIST))).to_series()

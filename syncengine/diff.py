"""Desired × snapshot → changes. Pure: frames in, frames out; nothing here depends on the order of rows.

What counts as a difference
 - only what is mapped: variables of the list that no column feeds are neither compared nor touched;
 - an empty cell clears a value the list holds (`Empty.CLEAR`), leaves it (`SKIP`), or is a value (`SEND`); dates
   are never cleared, since the API wants YYYY-MM-DD there;
 - an address in another spelling is the same address; another address under the same id is a rename;
 - `active` after the ratchet: see `_ratcheted`;
 - a contact whose last request has no known outcome differs from whatever the source says, and is sent whole.
"""

from collections.abc import Collection

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
    VARIABLE_LIST,
    VARIABLE_PREFIX,
    VARIABLES,
    variable_column,
)
from syncengine.model import Consent, Op
from syncengine.normalise.mapping import Empty, VariableRule
from syncengine.normalise.rows import fingerprint
from syncengine.wire import json_string, variable_json

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
_FIELD = "field"
_BEFORE = "before"
_NOW = "now"


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
    values = _values(acquainted, rules)
    differing = values.filter(pl.col(_BEFORE).ne_missing(pl.col(_NOW)) & pl.col("ours"))
    fields = pl.concat([_own_fields(acquainted), differing.select(KEY, _FIELD, _BEFORE, _NOW)])
    by_key = (
        fields.group_by(KEY)
        .agg(
            pl.struct(_FIELD, _BEFORE, pl.col(_NOW).alias("after")).sort_by(_FIELD).alias(FIELDS),
            (pl.col(_FIELD) == EMAIL).any().alias("moves"),
        )
        .with_columns(pl.col(FIELDS).cast(FIELD_LIST))
    )
    # What an empty cell leaves alone is sent as it is known: an update without it may erase it (smartsender.md §1.7).
    whole = values.with_columns(pl.coalesce(_NOW, _BEFORE).alias(_NOW))
    ours = whole.filter(pl.col(_FIELD).is_in([rule.name for rule in rules]))
    sent = _as_json(ours, VARIABLES)
    after = sent.rename({VARIABLES: AFTER}) if ours.height == whole.height else _as_json(whole, AFTER)
    op = (
        pl.when(pl.col(FIELDS).is_null() & ~_IN_DOUBT)
        .then(pl.lit(SAME))
        .when(pl.col("moves").fill_null(value=False))
        .then(pl.lit(Op.RENAME.value))
        .otherwise(pl.lit(Op.UPDATE.value))
    )
    may_be_named = _IN_DOUBT | (pl.col("known_name") != "")
    cleared_name = pl.when(pl.col(NAME).is_null() & may_be_named).then(pl.lit("")).otherwise(NAME)
    return (
        acquainted.join(by_key, on=KEY, how="left")
        .join(sent, on=KEY, how="left")
        .join(after, on=KEY, how="left")
        .with_columns(
            op.alias(OP),
            cleared_name.alias(NAME),
            pl.col("known_email").alias(CONTACT),
            pl.when(pl.col("moves").fill_null(value=False)).then(EMAIL).otherwise("known_email").alias(EMAIL),
            pl.col(VARIABLES).fill_null("[]"),
            pl.col(AFTER).fill_null("[]"),
            pl.coalesce(FIELDS, pl.lit([], FIELD_LIST)).alias(FIELDS),
            *_no_ties(),
        )
        .select(CHANGE_COLUMNS)
    )


def _own_fields(acquainted: pl.DataFrame) -> pl.DataFrame:
    """Differences of address, name and subscription: key, field, before, now."""
    differences = [
        (EMAIL, pl.col(ADDRESS) != pl.col("known_address"), pl.col("known_email"), pl.col(EMAIL)),
        (
            NAME,
            pl.col(NAME).fill_null("") != pl.col("known_name").fill_null(""),
            pl.col("known_name"),
            pl.col(NAME).fill_null(""),
        ),
        (
            ACTIVE,
            pl.col(ACTIVE) != pl.col("known_active"),
            pl.col("known_active").cast(pl.String),
            pl.col(ACTIVE).cast(pl.String),
        ),
    ]
    return pl.concat(
        acquainted.filter(differs).select(KEY, pl.lit(field).alias(_FIELD), before.alias(_BEFORE), now.alias(_NOW))
        for field, differs, before, now in differences
    )


def _values(acquainted: pl.DataFrame, rules: tuple[VariableRule, ...]) -> pl.DataFrame:
    """One row per contact and variable: key, field, before, now, ours (whether the mapping feeds it)."""
    columns = {variable_column(rule.name): rule for rule in rules}
    now = (
        acquainted.select(KEY, *columns)
        .unpivot(index=KEY, variable_name=_FIELD, value_name=_NOW)
        .with_columns(pl.col(_FIELD).str.strip_prefix(VARIABLE_PREFIX), pl.col(_NOW).cast(pl.String))
        .drop_nulls(_NOW)
    )
    before = (
        acquainted.select(KEY, pl.col("known_variables").str.json_decode(VARIABLE_LIST))
        .explode("known_variables")
        .drop_nulls("known_variables")
        .select(
            KEY,
            pl.col("known_variables").struct.field("name").alias(_FIELD),
            pl.col("known_variables").struct.field("value").alias(_BEFORE),
        )
    )
    clearing = [rule.name for rule in rules if rule.empty is Empty.CLEAR and rule.may_be_cleared]
    unsure = (  # the list may hold a value for any of them, whatever the snapshot says
        acquainted.filter(_IN_DOUBT)
        .select(KEY, pl.lit(clearing, pl.List(pl.String)).alias(_FIELD), pl.lit(None, pl.String).alias(_BEFORE))
        .explode(_FIELD)
        .drop_nulls(_FIELD)
        .join(before, on=[KEY, _FIELD], how="anti")
    )
    both = pl.concat([before, unsure]).join(now, on=[KEY, _FIELD], how="full", coalesce=True)
    cleared = pl.col(_NOW).is_null() & pl.col(_FIELD).is_in(clearing)
    return both.with_columns(pl.when(cleared).then(pl.lit("")).otherwise(_NOW).alias(_NOW)).with_columns(
        (pl.col(_NOW).is_not_null() & pl.col(_FIELD).is_in([rule.name for rule in rules])).alias("ours")
    )


def _as_json(values: pl.DataFrame, name: str) -> pl.DataFrame:
    """key, `name`: the variables of each contact in the API's form, sorted by name."""
    pair = pl.concat_str(
        pl.lit('{"name":'), json_string(pl.col(_FIELD)), pl.lit(',"value":'), json_string(pl.col(_NOW)), pl.lit("}")
    )
    return (
        values.with_columns(pair.alias("pair"))
        .group_by(KEY)
        .agg(("[" + pl.col("pair").sort_by(_FIELD).str.join(",") + "]").alias(name))
    )

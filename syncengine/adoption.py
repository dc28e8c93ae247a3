"""`state adopt` and `state export`: the state of a list from a file, and as one.

The file is a list downloaded from SmartSender's own page: evidence of what is on the list. After it a first sync sends
only real differences, and contacts that were held because their consent was unknown are known.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.bootstrap import Session
from syncengine.config.model import VARIABLE_NAME, Job
from syncengine.duplicates import resolve_duplicates
from syncengine.durable import drafted
from syncengine.errors import ConfigError, SourceError
from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    CODE,
    CONFIRMED_AT,
    CONTENT_UNKNOWN,
    EMAIL,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    LEFT_SOURCE,
    NAME,
    ORDINAL,
    ORIGIN,
    REASON,
    ROW,
    SNAPSHOT_SCHEMA,
    VARIABLES,
    source_column,
    variable_column,
)
from syncengine.guarded import guarded, unguarded
from syncengine.model import Variable, VariableType
from syncengine.normalise.mapping import ActiveRule, EmailRule, Empty, VariableRule, Winner
from syncengine.normalise.mapping import Mapping as RowMapping
from syncengine.normalise.rows import key_hashes, normalise
from syncengine.ports import Changes, Chunk, Source
from syncengine.sources import SourceOptions, open_source
from syncengine.uptake import hear
from syncengine.wire import variable_json

OWN: Final = (EMAIL, NAME, ACTIVE)
ORIGIN_ADOPTED: Final = "adopted"


@dataclass(slots=True)
class Adopted:
    """What an adoption brought in.

    newer     contacts left as they are, because the state has them confirmed after the file was written
    off       people the file has as subscribed who are known to be off, and stay so: nobody said when it was written
    lowered   contacts taken as not subscribed, because the file says so of them and its opposite
    refused   rows that were left out: (row, code, reason)
    """

    contacts: int = 0
    active: int = 0
    newer: int = 0
    off: int = 0
    lowered: int = 0
    variables: tuple[str, ...] = ()
    refused: list[tuple[int, str, str]] = field(default_factory=list)


def adopt(
    session: Session,
    job: Job,
    file: Path,
    headers: Mapping[str, str],
    now: datetime,
    *,
    written: datetime | None = None,
) -> Adopted:
    """Take the contacts in `file` for what the list of `job` holds.

    headers   field → column, where the file names `email`, `name`, `active` or a variable otherwise
    written   when SmartSender wrote it, as far as a person vouches for that: then it counts for who is subscribed again

    The file is taken for what it shows, and for nothing else: contacts it does not have stay as they are in the state,
    so do a known contact's name and variables it has no column for, and whoever was confirmed after it was written. A
    copy of an old export has a new date, so the date of the file alone brings back nobody who is known to be off.
    Raises SourceError, ConfigError.
    """
    source = open_source(SourceOptions(str(file), Path.cwd()))
    columns = _columns(source, headers)
    variables = tuple(name for name in columns if name not in OWN)
    mapping = RowMapping(
        EmailRule((columns[EMAIL],)),
        ActiveRule(column=columns[ACTIVE]),
        name=columns.get(NAME),
        variables=tuple(VariableRule(name, columns[name], empty=Empty.SKIP) for name in variables),
    )
    result = Adopted(variables=variables)
    frames = [frame for chunk in source.chunks() if not (frame := _read(chunk, source, mapping, result)).is_empty()]
    state = session.state(job)
    hear(session.listening(job.list_id), state, job.name, now)  # what is in the inbox is older than what is adopted now
    rows = _one_each(pl.concat([_NOBODY, *frames]), result)
    as_of = written or datetime.fromtimestamp(file.stat().st_mtime, UTC)
    known, subscribed = _known(session, job, rows), rows.filter(ACTIVE)[ADDRESS]
    result.newer = known.filter(pl.col(CONFIRMED_AT) > as_of).height
    rows = rows.join(known.filter(pl.col(CONFIRMED_AT) > as_of), on=ADDRESS, how="anti")
    if written is None:
        off = pl.concat([known.filter(~pl.col(ACTIVE))[ADDRESS], state.off(), state.departed()])
        raised = pl.col(ACTIVE) & pl.col(ADDRESS).is_in(off.implode())
        result.off = rows.filter(raised).height
        rows = rows.filter(~raised)
    rows = _keyed(rows, _id_variable(job), known.select(ADDRESS, pl.col(KEY).alias("known_key")))
    rows = _completed(rows, known, variables, named=NAME in columns)
    upserts = rows.with_columns(pl.lit(ORIGIN_ADOPTED).alias(ORIGIN), pl.lit(now).alias(CONFIRMED_AT)).select(
        pl.col(name).cast(dtype) for name, dtype in SNAPSHOT_SCHEMA.items()
    )
    state.amend(Changes([upserts.lazy()], [], [], _NOTHING_REFUSED, _NO_DOUBTS), now)
    state.remember_variables([Variable(name, VariableType.STRING) for name in variables], now, ORIGIN_ADOPTED)
    if written is not None:
        state.lift_suppressions(subscribed, before=written)
    result.contacts, result.active = upserts.height, int(upserts[ACTIVE].sum())
    return result


def _one_each(rows: pl.DataFrame, result: Adopted) -> pl.DataFrame:
    """One row for each contact: the last, and not subscribed where any of them says so."""
    chosen, losers = resolve_duplicates(rows, Winner.LAST)
    result.refused += losers.select(ROW, CODE, REASON).rows()
    result.lowered = chosen.filter(pl.col(FINGERPRINT) == CONTENT_UNKNOWN).height
    return chosen


def _completed(rows: pl.DataFrame, known: pl.DataFrame, variables: Sequence[str], *, named: bool) -> pl.DataFrame:
    """`rows` with what the state has of them and the file has no column for. Whoever left the source has left it still.

    A contact that is made of both is compared in the next run, whatever its row says.
    """
    told = rows.join(
        known.select(
            ADDRESS,
            pl.col(NAME).alias("known_name"),
            _others(known[VARIABLES], variables).alias("others"),
            (pl.col(FINGERPRINT) == LEFT_SOURCE).alias("had left"),
        ),
        on=ADDRESS,
        how="left",
        maintain_order="left",
    )
    others = pl.col("others").fill_null("")
    both = pl.concat_str(others, pl.col(VARIABLES).str.slice(1).str.head(-1))
    name = pl.col(NAME) if named else pl.col("known_name")
    mixed = (others != "") | (name.ne_missing(pl.col(NAME)))
    return told.with_columns(
        pl.when(others != "").then(pl.format("[{}]", both.str.strip_chars(","))).otherwise(VARIABLES).alias(VARIABLES),
        name.alias(NAME),
        pl.when(pl.col("had left").fill_null(value=False) & ~pl.col(ACTIVE))
        .then(pl.lit(LEFT_SOURCE, pl.UInt64))
        .when(mixed)
        .then(pl.lit(CONTENT_UNKNOWN, pl.UInt64))
        .otherwise(FINGERPRINT)
        .alias(FINGERPRINT),
    )


def _others(known: pl.Series, variables: Sequence[str]) -> pl.Series:
    """Variables in the API's form → those of other names, as the beginning of such a list: `{…},{…},` or ``."""
    kept = [[one for one in json.loads(text) if one["name"] not in variables] for text in known]
    return pl.Series(["".join(f"{_as_json(one)}," for one in few) for few in kept], dtype=pl.String)


def _as_json(variable: Mapping[str, str]) -> str:
    return json.dumps(variable, ensure_ascii=False, separators=(",", ":"))


_NOBODY: Final = pl.DataFrame(
    schema={
        ORDINAL: pl.UInt64,
        ROW: pl.UInt64,
        CODE: pl.String,
        REASON: pl.String,
        KEY: pl.String,
        EMAIL: pl.String,
        ADDRESS: pl.String,
        NAME: pl.String,
        ACTIVE: pl.Boolean,
        VARIABLES: pl.String,
        FINGERPRINT: pl.UInt64,
    }
)
_NOTHING_REFUSED: Final = pl.DataFrame(
    schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "outcome": pl.String, "code": pl.String, "text": pl.String}
)
_NO_DOUBTS: Final = pl.DataFrame(schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64})


def _columns(source: Source, headers: Mapping[str, str]) -> dict[str, str]:
    """Field → column: as told, else by name. Raises SourceError, ConfigError."""
    told = {column: name for name, column in headers.items()}
    unknown = [column for column in told if column not in source.columns]
    if unknown:
        raise SourceError(
            f'{source.name}: no column "{unknown[0]}"',
            why=f"the file has: {', '.join(source.columns)}",
            code="column-missing",
        )
    fields = {told.get(column, _own_name(column)): column for column in source.columns if not column.startswith("#")}
    for needed in (EMAIL, ACTIVE):
        if needed not in fields:
            raise SourceError(
                f"{source.name}: which column is `{needed}`?",
                why=f"the file has: {', '.join(source.columns)}",
                fix=f'--column "{needed}=Its header"',
                code="column-missing",
            )
    wrong = [name for name in fields if not VARIABLE_NAME.fullmatch(name)]
    if wrong:
        raise ConfigError(
            f'{source.name}: the column "{wrong[0]}" is no variable\'s name',
            why="columns besides email, name and active are variables of the list: latin letters, the first one small",
            fix=f'say which variable it is: --column "firstName={wrong[0]}"',
            code="variable-name",
        )
    return fields


def _own_name(column: str) -> str:
    """`Email`, `EMAIL` and `subscribed` are meant for ours; variables keep their spelling."""
    folded = column.strip().lower()
    return {"subscribed": ACTIVE, "e-mail": EMAIL}.get(folded, folded if folded in OWN else column)


def _read(chunk: Chunk, source: Source, mapping: RowMapping, result: Adopted) -> pl.DataFrame:
    result.refused += chunk.held.select(ROW, CODE, REASON).rows()
    raw = chunk.rows.select(
        pl.lit(0, pl.UInt64).alias("ordinal"),
        ROW,
        *(unguarded(pl.col(column)).alias(source_column(column)) for column in source.columns),
    )
    rows = normalise(raw.lazy(), mapping, columns=source.columns, plain=chunk.plain).collect()
    result.refused += rows.filter(pl.col(CODE).is_not_null()).select(ROW, CODE, REASON).rows()
    values = [
        (rule.name, pl.col(variable_column(rule.name))) for rule in sorted(mapping.variables, key=lambda r: r.name)
    ]
    return rows.filter(pl.col(CODE).is_null()).select(
        pl.col(ROW).cast(pl.UInt64).alias(ORDINAL),
        pl.col(ROW).cast(pl.UInt64),
        pl.col(CODE).cast(pl.String),
        pl.col(REASON).cast(pl.String),
        KEY,
        EMAIL,
        ADDRESS,
        NAME,
        ACTIVE,
        variable_json(values).alias(VARIABLES),
        FINGERPRINT,
    )


def _id_variable(job: Job) -> str | None:
    """The variable that carries the ids of a job whose key is an id column, if it is mapped."""
    if job.key == "email":
        return None
    for name, written in (job.variables or {}).items():
        if (written if isinstance(written, str) else written.column) == job.key:
            return name
    return None


def _known(session: Session, job: Job, rows: pl.DataFrame) -> pl.DataFrame:
    """SNAPSHOT rows of whom of `rows` the state has already."""
    held = session.state(job).snapshot().rows()
    return held.join(rows.lazy().select(ADDRESS), on=ADDRESS, how="semi").collect()


def _keyed(rows: pl.DataFrame, id_variable: str | None, known: pl.DataFrame) -> pl.DataFrame:
    """Each contact under the key the job will know it by: the state's, its id, or its address until its id is met.

    An id that two addresses have is neither's.
    """
    own = pl.col(KEY)
    if id_variable is not None:
        pattern = rf'\{{"name":"{id_variable}","value":"((?:[^"\\]|\\.)*)"\}}'
        own = pl.coalesce(pl.col(VARIABLES).str.extract(pattern), pl.col(KEY))
    told = rows.join(known, on=ADDRESS, how="left", maintain_order="left").with_columns(own.alias("own"))
    taken = pl.col("own").is_in(known["known_key"].implode()) | pl.col("own").is_duplicated()
    keyed = told.with_columns(pl.coalesce("known_key", pl.when(~taken).then("own"), KEY).alias(KEY))
    return keyed.with_columns(key_hashes(keyed[KEY]).alias(KEY_HASH))


# -- export ----------------------------------------------------------------------------------------------------------


def export(session: Session, job: Job, target: Path) -> int:
    """Write what the list holds, as far as confirmed, as CSV (email, name, active, variables); gives the rows.

    `state adopt` reads it back. Cells a spreadsheet would take for a formula are guarded, and unguarded there.
    """
    state = session.state(job)
    held = state.snapshot().rows()
    names = sorted(state.variables())
    count = 0
    with drafted(target.absolute()) as draft, draft.open("wb") as file:
        file.write(_header((*OWN, *names)))
        for rows in _stretches(held):
            _cells(rows, names).write_csv(file, include_header=False)
            count += rows.height
    return count


def _header(names: Iterable[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode()


def _stretches(rows: pl.LazyFrame, size: int = 100_000) -> Iterator[pl.DataFrame]:
    yield from rows.collect_batches(chunk_size=size, maintain_order=True)


def _cells(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """email, name, active and a column for each variable, guarded."""
    held = [{one["name"]: one["value"] for one in json.loads(text)} for text in rows[VARIABLES]]
    values = {f"{VARIABLES}.{name}": pl.Series([one.get(name) for one in held], dtype=pl.String) for name in names}
    cells = rows.select(EMAIL, NAME, ACTIVE).with_columns(**values)
    return cells.select(guarded(pl.col(name)).alias(name) if name != ACTIVE else ACTIVE for name in cells.columns)

"""What the verbs of SmarterSends do: fetch, and write as CSV, Parquet or JSON.

A large export goes from the storage to a file beside the target, and from there to the target in one streaming pass:
memory holds a piece of it at a time. The target is whole or absent.
"""

import contextlib
import csv
import io
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl

from syncengine.bootstrap import Workshop
from syncengine.connecting import connect_smartersends, talk
from syncengine.durable import drafted
from syncengine.guarded import guarded
from syncengine.result_files import write_rows
from syncengine.smartersends.client import SmarterSends
from syncengine.smartersends.events import Event, EventChange, EventDraft
from syncengine.smartersends.files import iter_array, odd_file, usage_tables
from syncengine.smartersends.usage import COUNTS, GROUP_COLUMNS, METRICS, CampaignQuery, ConversationUsage, Format

T = TypeVar("T")

_GROUP_SCHEMA: Final = {
    name: pl.Int64 if name in COUNTS or name == "group_id" else pl.String if name == "group_name" else pl.Float64
    for name in GROUP_COLUMNS
}
_METRIC_SCHEMA: Final = {name: pl.Int64 if name in COUNTS else pl.Float64 for name in METRICS}
_EVENT_SCHEMA: Final = {
    "id": pl.Int64, "name": pl.String, "start_date": pl.String, "end_date": pl.String, "description": pl.String,
    "repeats": pl.Boolean, "repeat_type": pl.String, "max_occurrences": pl.Int64, "repeat_interval": pl.Int64,
    "repeat_days": pl.String, "repeat_months": pl.String, "all_groups": pl.Boolean, "created_at": pl.String,
    "updated_at": pl.String, "groups": pl.String,
}  # fmt: skip


def _with(workshop: Workshop, work: Callable[[SmarterSends], Awaitable[T]], *, changes: bool = False) -> T:
    return talk(connect_smartersends(workshop), work, changes=changes)


# Campaigns ------------------------------------------------------------------------------------------------------------


def campaigns_to_file(workshop: Workshop, query: CampaignQuery, target: Path) -> int:
    """Write campaigns to `target`; gives how many. Raises DestinationError, with no target then."""
    form: Format = "json" if target.suffix.lower() == ".json" else "csv"
    with _exported(workshop, query, form, target.parent) as file, drafted(target) as draft:
        if form == "json":
            return _copy_array(file, draft, query.wanted_columns)
        rows = _scan(file, query.wanted_columns)
        if target.suffix.lower() == ".parquet":
            rows.with_columns(_moments(query)).sink_parquet(draft)
            return int(pl.scan_parquet(draft, glob=False).select(pl.len()).collect().item())
        rows.with_columns(guarded(pl.col(name)).alias(name) for name in query.wanted_columns).sink_csv(draft)
        return int(rows.select(pl.len()).collect().item())


def campaigns(workshop: Workshop, query: CampaignQuery) -> list[dict[str, Any]]:
    """Campaigns as rows."""
    with tempfile.TemporaryDirectory() as folder, _exported(workshop, query, "json", Path(folder)) as file:
        return list(_rows_of(file, query.wanted_columns))


@contextlib.contextmanager
def _exported(workshop: Workshop, query: CampaignQuery, form: Format, folder: Path) -> Iterator[Path]:
    """The exported file as it came, gone after the block."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".export-", suffix=f".{form}") as file:

        def again() -> None:
            file.seek(0)
            file.truncate()

        _with(workshop, lambda instance: instance.export_campaigns(query, file.write, file=form, again=again))
        file.flush()
        yield Path(file.name)


def _scan(file: Path, columns: Sequence[str]) -> pl.LazyFrame:
    """The rows of an exported CSV, all text. Raises UnavailableError where its columns are not those asked for."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        try:
            head = next(csv.reader(lines), [])
        except UnicodeDecodeError as error:
            raise odd_file("it is not UTF-8") from error
    if head != list(columns):
        raise odd_file(f"its columns are {', '.join(head) or 'none'}, not {', '.join(columns)}")
    return pl.scan_csv(file, infer_schema=False)


def _moments(query: CampaignQuery) -> list[pl.Expr]:
    """`send_time` as a moment of no zone, as the page writes it; empty for drafts."""
    if "send_time" not in query.wanted_columns:
        return []
    return [pl.col("send_time").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)]


def _rows_of(file: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8-sig") as text:
        for row in iter_array(text):
            if row.keys() != set(columns):
                raise odd_file(f"a row has {', '.join(row) or 'nothing'}, not {', '.join(columns)}")
            yield {name: row[name] for name in columns}


def _copy_array(file: Path, draft: Path, columns: Sequence[str]) -> int:
    count = 0
    with draft.open("w", encoding="utf-8") as out:
        out.write("[")
        for row in _rows_of(file, columns):
            out.write(",\n" if count else "\n")
            json.dump(row, out, ensure_ascii=False)
            count += 1
        out.write("\n]\n")
    return count


# Conversations --------------------------------------------------------------------------------------------------------


def conversations(workshop: Workshop, start: str | None, end: str | None) -> ConversationUsage:
    """Usage as the service counts it."""
    return _with(workshop, lambda instance: instance.conversations(start=start, end=end))


def conversations_to_file(workshop: Workshop, start: str | None, end: str | None, target: Path) -> list[Path]:
    """Write usage: `.json` whole, `.csv` with its two tables, `.parquet` by group, the metrics beside it."""
    if target.suffix.lower() == ".csv":
        _conversations_csv(workshop, start, end, target)
        return [target]
    usage = conversations(workshop, start, end)
    if target.suffix.lower() == ".json":
        with drafted(target) as draft:
            draft.write_text(json.dumps(usage_document(usage), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return [target]
    beside = target.with_name(f"{target.stem}-metrics.parquet")
    write_rows(target, [dict(group) for group in usage.by_group], _GROUP_SCHEMA)
    write_rows(beside, [dict(usage.metrics)], _METRIC_SCHEMA)
    return [target, beside]


def usage_document(usage: ConversationUsage) -> dict[str, Any]:
    """As JSON."""
    return {
        "range": {"start": usage.start, "end": usage.end},
        "metrics": dict(usage.metrics),
        "by_group": [dict(group) for group in usage.by_group],
    }


def _conversations_csv(workshop: Workshop, start: str | None, end: str | None, target: Path) -> None:
    content = bytearray()

    async def work(instance: SmarterSends) -> int:
        return await instance.download(
            lambda: instance.conversation_export(start=start, end=end), content.extend, again=content.clear
        )

    _with(workshop, work)
    try:
        metrics, groups = usage_tables(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise odd_file("it is not UTF-8") from error
    with drafted(target) as draft:
        draft.write_text(_two_tables(metrics, groups), encoding="utf-8")


def _two_tables(metrics: Mapping[str, str], groups: Sequence[Mapping[str, str]]) -> str:
    first = pl.DataFrame({"metric": list(metrics), "value": list(metrics.values())})
    second = pl.DataFrame([dict(group) for group in groups], schema=dict.fromkeys(GROUP_COLUMNS, pl.String))
    out = io.StringIO()
    out.write(first.write_csv())
    out.write("\n")
    out.write(second.with_columns(guarded(pl.col("group_name")).alias("group_name")).write_csv())
    return out.getvalue()


# Events ---------------------------------------------------------------------------------------------------------------


def events(workshop: Workshop) -> list[Event]:
    return _with(workshop, lambda instance: instance.events())


def event(workshop: Workshop, number: int) -> Event:
    return _with(workshop, lambda instance: instance.event(number))


def create_event(workshop: Workshop, draft: EventDraft) -> Event | None:
    return _with(workshop, lambda instance: instance.create_event(draft), changes=True)


def update_event(workshop: Workshop, number: int, change: EventChange) -> Event | None:
    return _with(workshop, lambda instance: instance.update_event(number, change), changes=True)


def delete_event(workshop: Workshop, number: int) -> None:
    _with(workshop, lambda instance: instance.delete_event(number), changes=True)


def event_document(one: Event) -> dict[str, Any]:
    """As JSON, with the names the API has."""
    return asdict(one) | {
        "repeat_days": list(one.repeat_days),
        "repeat_months": list(one.repeat_months),
        "groups": [asdict(group) for group in one.groups],
    }


def write_events(found: Sequence[Event], target: Path) -> None:
    """A row for each event; in CSV and Parquet, lists are texts with blanks between."""
    documents = [event_document(one) for one in found]
    if target.suffix.lower() != ".json":
        for document in documents:
            document["groups"] = "; ".join(group["name"] or str(group["id"]) for group in document["groups"])
            for name in ("repeat_days", "repeat_months"):
                document[name] = " ".join(map(str, document[name]))
    write_rows(target, documents, _EVENT_SCHEMA)

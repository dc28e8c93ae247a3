"""After the last answer: numbers from the journal, confirmed contacts folded into the state, files for people.

Blocking; called in a thread. Doing it twice gives the same.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.catalogue import holds_whatever_it_says, sent_again
from syncengine.dispatch.consent import who_left
from syncengine.durable import make_private_folder, write_durably
from syncengine.errors_file import verdict_frame, write_errors
from syncengine.fold import fold, replaced_keys, snapshot_rows
from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    ADDRESS_IN_DOUBT,
    BATCH,
    CONTACT,
    EMAIL,
    FIELDS,
    FINGERPRINT,
    FRAGMENT,
    IN_DOUBT,
    KEY,
    KEY_HASH,
    NAME,
    SOURCE,
    VARIABLES,
)
from syncengine.frozen import FrozenPlan
from syncengine.html_report import render
from syncengine.late_requests import doubts_of, joined_doubts
from syncengine.model import Op, Outcome
from syncengine.normalise.addresses import address_keys
from syncengine.ports import Changes, Journal
from syncengine.prepare import NOTES_FILE, Prepared
from syncengine.report import ERRORS_FILE, Report
from syncengine.row_memory import drop_notes
from syncengine.settlement import GONE
from syncengine.snapshot import Snapshot
from syncengine.suppression import SUPPRESSED, kept_off, lowered, moved

REPORT_FILE: Final = "report.html"
_ROWS_IN_MEMORY: Final = 200_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Planned contacts by outcome; the four add up to the plan. `leavers` are those of the pending that left the
    source, by what is to be done with them.
    """

    confirmed: Mapping[Op, int]
    rejected: int
    unresolved: int
    pending: int
    leavers: Mapping[Op, int]


def count(prepared: Prepared, journal: Journal) -> Counts:
    """What became of the plan so far."""
    confirmed = dict.fromkeys(Op, 0)
    leavers: Counter[Op] = Counter()
    rejected = unresolved = 0
    for wave in prepared.plan.waves:
        tally = journal.tally(prepared.run, wave.first_batch, wave.batches)
        confirmed[wave.op] += tally.confirmed
        rejected += tally.rejected
        unresolved += tally.unresolved
        if wave.op in {Op.UNSUBSCRIBE, Op.REMOVE}:
            leavers[wave.op] += wave.contacts - tally.confirmed - tally.rejected - tally.unresolved
    pending = prepared.plan.contacts - sum(confirmed.values()) - rejected - unresolved
    return Counts(confirmed, rejected, unresolved, pending, +leavers)


def write_errors_of(prepared: Prepared, journal: Journal) -> int:
    """(Re)write errors.csv of the run from what is recorded; gives its number of rows."""
    verdicts = journal.verdicts(prepared.run)
    return write_errors(prepared.plan, verdicts, prepared.plan.folder / ERRORS_FILE, prepared.told_columns)


def write_page_of(prepared: Prepared, journal: Journal, report: Report, now: datetime) -> None:
    """(Re)write report.html of the run."""
    refused = Counter(
        (outcome, code) for _, _, outcome, code, _ in journal.verdicts(prepared.run) if outcome != Outcome.CONFIRMED
    )
    counts = [(stage, code, number) for (stage, code), number in refused.most_common()]
    page = render(report.to_json(), counts, source=prepared.source["name"], at=now)
    write_durably(prepared.plan.folder / REPORT_FILE, page.encode())


def subscribed_rows(plan: FrozenPlan, people: Mapping[str, str]) -> pl.DataFrame:
    """The plan's rows about `people` (addresses) that say they are subscribed, with their `batch`."""
    found = [
        rows.filter(who_left(people))
        for wave in plan.waves
        if wave.op in {Op.ADD, Op.UPDATE, Op.RENAME}
        for rows in plan.slices(wave)
    ]
    told = [rows.select(BATCH, KEY, EMAIL, CONTACT, NAME, VARIABLES) for rows in found]
    return pl.concat(told) if told else pl.DataFrame(schema=_WHOM)


_WHOM: Final = {
    BATCH: pl.UInt32,
    **dict.fromkeys((KEY, EMAIL, CONTACT, NAME, VARIABLES), pl.String),
}


def withheld_of(prepared: Prepared, journal: Journal) -> int:
    """How many were not sent because they left after the plan was made. Nothing went wrong with them."""
    return sum(code == SUPPRESSED for _, _, _, code, _ in journal.verdicts(prepared.run))


def is_anybody_gone(prepared: Prepared, journal: Journal) -> bool:
    """Whether the list no longer has somebody whom the source has, since they were removed there."""
    gone = {batch for batch, _, _, code, _ in journal.verdicts(prepared.run) if code == GONE.code}
    kept = [wave for wave in prepared.plan.waves if wave.op in {Op.ADD, Op.UPDATE, Op.RENAME}]
    return any(wave.first_batch <= batch < wave.first_batch + wave.batches for wave in kept for batch in gone)


def who_moved(prepared: Prepared, off: pl.Series) -> Iterator[tuple[str, str]]:
    """(address before, address now) of people who are off and whose address the plan changes."""
    for wave in prepared.plan.waves:
        if wave.op is Op.RENAME:
            for rows in prepared.plan.slices(wave):
                yield from moved(rows, off)


def vacated(prepared: Prepared) -> list[str]:
    """Addresses that people who are not subscribed have until the plan renames them."""
    waves = [wave for wave in prepared.plan.waves if wave.op is Op.RENAME]
    rows = [rows.filter(~pl.col(ACTIVE))[CONTACT] for wave in waves for rows in prepared.plan.slices(wave)]
    return [address for contacts in rows for address in address_keys(contacts.str.strip_chars())]


def gather_changes(prepared: Prepared, journal: Journal, now: datetime, off: pl.Series) -> Changes:
    """What the settled batches of a run change in the state, as far as recorded. Who is in `off` (addresses) was sent,
    or corrected, as unsubscribed, whatever the plan says.
    """
    scratch = prepared.plan.folder / ".fold"
    shutil.rmtree(scratch, ignore_errors=True)
    upserts, removed, unsure = _Pile(scratch, "upserts"), _Pile(scratch, "removed"), _Pile(scratch, "unsure")
    refused, doubtful, missed = [], [], []
    verdicts = verdict_frame(journal.verdicts(prepared.run))
    settled = pl.Series(sorted(journal.settled_batches(prepared.run)), dtype=pl.UInt32)
    given_up = journal.doubtful_batches(prepared.run)
    begun = pl.Series([batch for batch, since in given_up.items() if since is None], dtype=pl.UInt32)
    for wave in prepared.plan.waves:
        for rows in prepared.plan.slices(wave, but=(SOURCE, FRAGMENT, FIELDS)):
            change = fold(rows, verdicts, settled, begun, origin="sync", at=now)
            upserts.add(change.upserts)
            removed.add(change.removed)
            unsure.add(change.unsure)
            refused.append(change.refused)
            missed.append(change.missed.filter(pl.col(ADDRESS).is_in(off.implode())))
            doubtful.append(doubts_of(rows, given_up, now))
    for rows in prepared.plan.rekeyed():
        upserts.add(snapshot_rows(rows, origin="sync", at=now))
        removed.add(replaced_keys(rows))
    same = prepared.plan.same()
    doubted = [frame.with_columns(pl.lit(IN_DOUBT, pl.UInt64).alias(FINGERPRINT)) for frame in unsure.frames()]
    return Changes(
        [lowered(frame, off) for frame in upserts.frames()] if len(off) else upserts.frames(),
        [*doubted, same] if same is not None else doubted,
        removed.frames(),
        pl.concat([_not_sent_again(refused, prepared), *map(kept_off, missed)]),
        joined_doubts(doubtful),
    )


def off_when_removed(changes: Changes, snapshot: Snapshot) -> pl.DataFrame:
    """KEY, ADDRESS of people whom `changes` take off the list, and whom the list has as not subscribed."""
    removed = pl.concat([frame.select(KEY, KEY_HASH) for frame in changes.removed]).collect()
    gone = snapshot.rows_of(removed[KEY_HASH].to_numpy()).join(removed, on=KEY, how="semi").filter(~pl.col(ACTIVE))
    if gone.is_empty():
        return gone.select(KEY, ADDRESS)
    stays = [frame.select(ADDRESS).join(gone.lazy(), on=ADDRESS, how="semi") for frame in changes.upserts]
    here = pl.concat(stays).collect()[ADDRESS] if stays else pl.Series([], dtype=pl.String)
    return gone.filter(~pl.col(ADDRESS).is_in(here.implode())).select(KEY, ADDRESS)


def clear_scratch(prepared: Prepared) -> None:
    """Remove what is of no use once the run is over."""
    drop_notes(prepared.plan.folder / NOTES_FILE)
    shutil.rmtree(prepared.plan.folder / ".fold", ignore_errors=True)


_REFUSED: Final = {KEY: pl.String, FINGERPRINT: pl.UInt64} | dict.fromkeys(
    ("outcome", "code", "text", "rules"), pl.String
)


def remembered(changes: Changes) -> int:
    """How many contacts were left unresolved and are not sent again by themselves."""
    about_rows = ~pl.col(KEY).str.starts_with(ADDRESS_IN_DOUBT) & (pl.col("code") != SUPPRESSED)
    return changes.refused.filter(about_rows & (pl.col("outcome") == Outcome.UNRESOLVED.value)).height


def _not_sent_again(refused: list[pl.DataFrame], prepared: Prepared) -> pl.DataFrame:
    """Refused content to be remembered, and under which rules; what a later run may simply try again is not.

    A contact that was rejected may pass under another mapping. Of one left unresolved only mode and consent decide.
    """
    refused = [frame for frame in refused if not frame.is_empty()]
    if not refused:
        return pl.DataFrame(schema=_REFUSED)
    rejected = pl.col("outcome") == Outcome.REJECTED.value
    rules = pl.when(rejected).then(pl.lit(prepared.rules)).otherwise(pl.lit(prepared.terms))
    told = pl.concat(refused).with_columns(rules.alias("rules"))
    again = [code for code in told["code"].unique() if sent_again(code) or code == SUPPRESSED]
    kept = told.filter(~pl.col("code").is_in(again))
    return pl.concat([kept, _under_their_addresses(kept, prepared.consent)]).drop(ADDRESS)


def _under_their_addresses(refused: pl.DataFrame, consent: str) -> pl.DataFrame:
    """Contacts that are held whatever their rows say, once more by address: the list has somebody there whose consent
    is not known, and nobody may be renamed to that address, whatever the mode is by then, and whatever the key.
    """
    held = [code for code in refused["code"].unique() if holds_whatever_it_says(code)]
    theirs = refused.filter(pl.col("code").is_in(held))
    place = pl.lit(ADDRESS_IN_DOUBT) + pl.col(ADDRESS)
    return theirs.with_columns(place.alias(KEY), pl.lit(consent).alias("rules")).unique(KEY)


@dataclass(slots=True)
class _Pile:
    """Frames of one kind, on disk once there are many."""

    folder: Path
    name: str
    kept: list[pl.DataFrame] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        if not frame.is_empty():
            self.kept.append(frame)
        if sum(kept.height for kept in self.kept) > _ROWS_IN_MEMORY:
            make_private_folder(self.folder)
            path = self.folder / f"{self.name}-{len(self.files):05}.parquet"
            pl.concat(self.kept).write_parquet(path, compression="lz4")
            self.files.append(path)
            self.kept = []

    def frames(self) -> list[pl.LazyFrame]:
        return [*(pl.scan_parquet(file, glob=False) for file in self.files), *(frame.lazy() for frame in self.kept)]

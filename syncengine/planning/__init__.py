"""Planning: one pass over the source, then partition by partition against the snapshot. Nothing is sent here."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from syncengine.errors import InternalError
from syncengine.model import Mode, OnMissing, Op, Variable, VariableType
from syncengine.planning.changes import Comparison, Intent, Memory, compare, depart
from syncengine.planning.facts import PlanFacts
from syncengine.planning.questions import date_questions
from syncengine.planning.survey import Survey, survey
from syncengine.ports import PlanSink, Source
from syncengine.row_memory import RowMemory
from syncengine.snapshot import Snapshot
from syncengine.sorted_hashes import Positions
from syncengine.spill import Spill, partitions_for

__all__ = ["Intent", "Leavers", "Memory", "PlanFacts", "make_plan"]

UNREADABLE = (
    "row-short",
    "row-long",
    "row-cut",
    "row-nul",
    "row-return",
    "row-encoding",
    "row-quote",
    "cell-too-long",
)
"""Held rows that may be anybody's: while a source has such rows nobody can be said to have left it."""

LEAVERS_AT_A_TIME: Final = 50_000  #: contacts that are read and planned together; 1.5 KB each while they are


@dataclass(frozen=True, slots=True)
class Leavers:
    """What to do with contacts that left the source.

    `first_run`: the job has never finished a run. `check(gone, known)` raises GuardError if too many have left.
    """

    on_missing: OnMissing
    first_run: bool
    check: Callable[[int, int], None]


def make_plan(
    source: Source,
    snapshot: Snapshot,
    memory: Memory,
    intent: Intent,
    leavers: Leavers,
    out: PlanSink,
    *,
    known_variables: Collection[str],
    rows: RowMemory | None = None,
    scratch: Path,
    pulse: Callable[[], None],
) -> PlanFacts:
    """Compare `source` with `snapshot` and give the changes to `out`.

    `rows` is what rows meant when they were read before, and is told what rows mean that are new to it.
    Raises SourceError, GuardError if too many have left, InternalError if a row is unaccounted for. `scratch` is a
    folder to work in; `pulse` is called now and then, and may raise to end the work.
    """
    partitions = partitions_for(source.describe().unpacked_size)
    aside, claims_aside = Spill(scratch / "rows", partitions), Spill(scratch / "claims", partitions)
    try:
        watched = [rule.name for rule in intent.mapping.variables if rule.name not in known_variables]
        found = survey(
            source, intent.mapping, snapshot, aside, out, pulse, undecided=watched, memory=rows, scratch=scratch
        )
        leaving = found.aside[:0] if leavers.on_missing is OnMissing.KEEP else _gone(found, snapshot, intent)
        snapshot.expect(np.concatenate([found.aside, leaving]))
        compared = compare(
            aside, found, snapshot, memory, intent, out, watch=watched, claims_aside=claims_aside, pulse=pulse
        )
        gone = _gone(found, snapshot, intent)  # once more: who was taken over by another id has not left
    finally:
        aside.close()
        claims_aside.close()
        shutil.rmtree(scratch, ignore_errors=True)
    left, spared = _plan_leavers(gone, found, snapshot, memory, leavers, out)
    snapshot.let_go()
    planned = compared.planned + left
    facts = PlanFacts(
        rows=found.rows,
        same=found.same + compared.same,
        held=dict(sorted((found.held + compared.held).items())),
        planned={op.value: planned[op] for op in Op},
        fields=dict(compared.fields.most_common()),
        variables=_missing_variables(intent, found, compared),
        known=snapshot.present,
        gone=len(gone),
        spared=spared,
        dates={name: (share.filled, share.dates) for name, share in found.dates.items()},
        questions=tuple(date_questions(intent.mapping.variables, found.evidence, watched)),
    )
    if not facts.adds_up:
        raise InternalError("the plan does not account for every row", why=repr(facts))
    return facts


def _gone(found: Survey, snapshot: Snapshot, intent: Intent) -> Positions:
    """Who left the source, where that matters."""
    return snapshot.missing(found.seen) if intent.mode is Mode.MIRROR else found.aside[:0]


def _plan_leavers(
    gone: Positions, found: Survey, snapshot: Snapshot, memory: Memory, leavers: Leavers, out: PlanSink
) -> tuple[Counter[Op], str]:
    """How many changes it makes that these left the source, and why none if none are made."""
    if leavers.on_missing is OnMissing.KEEP or not len(gone) or not found.rows:  # of an empty source a guard tells
        return Counter(), ""
    spared = _spared(found, leavers)
    if spared:
        return Counter(), spared
    leavers.check(len(gone), snapshot.present)
    op = Op.REMOVE if leavers.on_missing is OnMissing.REMOVE else Op.UNSUBSCRIBE
    several = (gone[start : start + LEAVERS_AT_A_TIME] for start in range(0, len(gone), LEAVERS_AT_A_TIME))
    return Counter({op: sum(depart(snapshot.rows_at(part), op, memory, out) for part in several)}), ""


def _spared(found: Survey, leavers: Leavers) -> str:
    """Why nobody is said to have left, or nothing."""
    unreadable = sum(found.held[code] for code in UNREADABLE)
    if unreadable:
        return f"{unreadable} rows could not be read, and may be anybody's"
    if leavers.first_run:
        return "this is the job's first run"
    return ""


def _missing_variables(intent: Intent, found: Survey, compared: Comparison) -> tuple[Variable, ...]:
    """Variables the list does not have and a planned contact needs. A date only where every value is one."""
    missing = []
    for rule in intent.mapping.variables:
        if rule.name in compared.needed:
            share = found.dates.get(rule.name)
            kind = VariableType.DATE if share is not None and share.all_dates else VariableType.STRING
            missing.append(Variable(rule.name, rule.type or kind))
    return tuple(missing)

"""What is known of a list across runs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from syncengine.model import SourceSeen, Variable
from syncengine.row_memory import RowMemory
from syncengine.snapshot import Snapshot
from syncengine.suppression import Learned


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Who asked to be erased: HMAC-SHA256 of addresses under `secret` (hex); both empty where nobody did."""

    tombstones: pl.Series
    secret: str


@dataclass(frozen=True, slots=True)
class ListState:
    """The snapshot in force of one list: the file at `path`, and what `newer` files have changed in it, in order."""

    list: str
    generation: int
    contacts: int
    path: Path | None
    updated_at: str
    newer: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a finished run changes in the state of its list.

    upserts   SNAPSHOT rows that replace or join those of the same key
    renewed   KEY, KEY_HASH, FINGERPRINT of contacts whose content stays and whose fingerprint is new; who is not in
              the state stays unknown to it
    removed   KEY, KEY_HASH of contacts the list no longer has, or no longer under this key
    refused   KEY, FINGERPRINT, outcome, code, text, rules: content not to be sent again while these rules hold
    doubtful  KEY, FINGERPRINT, until: contacts an abandoned request may still change, until that Unix time
    """

    upserts: Sequence[pl.LazyFrame]
    renewed: Sequence[pl.LazyFrame]
    removed: Sequence[pl.LazyFrame]
    refused: pl.DataFrame
    doubtful: pl.DataFrame


class StateStore(Protocol):
    """What is known about one list across runs. Changed as a whole by `commit`, or not at all."""

    def current(self) -> ListState:
        """Where the state stands. Raises StateError if it belongs to another account or program."""
        ...

    def snapshot(self) -> Snapshot:
        """The confirmed contacts. Raises StateError if they are not as they were written."""
        ...

    def variables(self) -> Mapping[str, Variable]:
        """Variables known to be on the list, by name."""
        ...

    def remember_variables(self, variables: Iterable[Variable], now: datetime, origin: str) -> None:
        """These variables are on the list. Durable on return."""
        ...

    def refusals(self, rules: Collection[str]) -> pl.DataFrame:
        """KEY, FINGERPRINT, refused_as, refused_with, any_content: what is not to be sent again where one of `rules`
        holds, and how its row is held. `any_content`: whatever the row says meanwhile.
        """
        ...

    def off(self) -> pl.Series:
        """Addresses (normal form) whose owners must not get mail, by the service's own word."""
        ...

    def departed(self) -> pl.Series:
        """Addresses (normal form) of people who were not subscribed when a job under `keep` removed them."""
        ...

    def remember_departed(self, addresses: Iterable[str], now: datetime) -> None:
        """These are being removed, and are not subscribed. Durable on return."""
        ...

    def learn(self, learned: Learned, now: datetime) -> None:
        """The list is known to hold this, though no run has sent it."""
        ...

    def forgotten(self) -> Forgotten:
        """Who asked to be erased."""
        ...

    def doubtful(self) -> pl.DataFrame:
        """KEY, FINGERPRINT, until: contacts whose list entry an abandoned request may still change."""
        ...

    def row_memory(self, job: str, meaning: bytes, notes: Path | None) -> RowMemory | None:
        """What rows of the job's source meant before; rows new to it are written to the file `notes`."""
        ...

    def keep_rows(self, job: str, notes: Path, rows: int) -> None:
        """Take the notes of a finished run, over a source of `rows` rows, into the memory. It may be lost."""
        ...

    def seen(self, job: str) -> SourceSeen | None:
        """What the last finished run of `job` saw."""
        ...

    def commit(
        self,
        changes: Changes,
        *,
        run: str,
        job: str,
        saw: SourceSeen | None,
        status: str,
        result: str,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> ListState:
        """Fold a run into the state and end the run, in one step.

        `saw` None: the run did not come to its end, and says nothing about what the source holds.
        """
        ...

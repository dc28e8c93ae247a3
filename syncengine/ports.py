"""What the middle of the program asks of its edges, with the guarantees in words."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.leaving import Suppression
from syncengine.model import Answer, Call, Op, Variable
from syncengine.row_memory import Recollection, RowMemory
from syncengine.settlement import Ask, Settled
from syncengine.snapshot import Snapshot
from syncengine.suppression import Learned

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Recalled:
    """A chunk of which some rows were read in an earlier run, and are not in its `rows`.

    hashes   of the bytes of every row, in file order
    known    which of them were read before, and what they meant then
    parse    the rows at these places in the chunk, as `Chunk.rows` would have them
    """

    hashes: Hashes
    known: Recollection
    parse: Callable[[npt.NDArray[np.int64]], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one file of the source, in file order.

    rows   `row` UInt64, then every source column as String, headers as spelled; an empty cell is null
    held   `row` UInt64, `code` String, `reason` String, then the source columns as far as they could be read

    `row` is the line on which the row starts, the header being line 1; in Parquet and Excel it is the
    number a spreadsheet shows. A row is in exactly one of the two frames. `plain` says that no cell can hold a
    control character (besides tab and line ends), so that nobody needs to look for one.
    """

    file: str
    rows: pl.DataFrame
    held: pl.DataFrame
    plain: bool = False
    recalled: Recalled | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """How a source was understood: shown by `plan` and `inspect` so that a wrong guess is seen."""

    files: tuple[str, ...]
    size: int  #: bytes on disk, all files
    format: str  #: "csv", "parquet", "xlsx", "html"
    facts: Mapping[str, str] = field(default_factory=dict)  #: encoding, separator, … → what was found, and how
    warnings: tuple[str, ...] = ()


class Source(Protocol):
    """Where contacts come from. Reading it twice gives the same rows, or raises."""

    @property
    def name(self) -> str:
        """As the user wrote it, for messages."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Headers after hygiene, in file order, unique."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """All rows, once, in bounded memory. Raises SourceError, at the latest at the end if the source changed."""
        ...

    def digest(self) -> str:
        """`algorithm:hex` over the bytes of all files, without parsing. Equal digests mean equal rows."""
        ...

    def describe(self) -> Description:
        """What the source looks like; complete after `chunks` was exhausted."""
        ...

    def verify_unchanged(self) -> None:
        """Raises SourceError if the files are no longer those that were opened."""
        ...


@runtime_checkable
class RecallsRows(Protocol):
    """A source that can tell rows apart by their bytes, without taking them apart."""

    @property
    def reading(self) -> str:
        """How text becomes cells: rows with equal bytes are equal under equal readings. Empty: it can't tell."""
        ...

    def chunks_but(self, recall: Callable[[Hashes], Recollection]) -> Iterator[Chunk]:
        """As `chunks`; where a chunk has `recalled`, rows that `recall` knows are left out of its `rows`.

        Such a chunk has no `held`. `recall` is asked with the hashes of the rows of a chunk.
        """
        ...


class PlanSink(Protocol):
    """Where a plan goes while it is made. Nothing put here has been sent."""

    def hold(self, rows: pl.DataFrame) -> None:
        """HELD rows."""
        ...

    def change(self, changes: pl.DataFrame) -> None:
        """CHANGE rows of any operations but "same", each contact once in the whole plan."""
        ...

    def refresh(self, rows: pl.DataFrame) -> None:
        """CHANGE rows with op "same": nothing to send, but their fingerprint is new to the state."""
        ...

    def rekey(self, rows: pl.DataFrame) -> None:
        """CHANGE rows with op "same" and `replaces`: nothing to send, but their key is a new one."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """At most 100 contacts of one operation, as frozen in the plan.

    contacts   CHANGE rows with `fragment`, in plan order
    body       the contacts of the whole batch in the form of `prepared` (see `Destination.prepare`)
    """

    number: int
    op: Op
    known: bool
    contacts: pl.DataFrame
    prepared: Call
    body: str

    @property
    def size(self) -> int:
        return self.contacts.height


class Destination(Protocol):
    """The list behind one version of the API.

    `submit` may be called again with the same content after any outcome: every call means "make it so", and what
    is sent is the contact's whole desired state. It raises nothing for what the service answers.
    """

    @property
    def batch_size(self) -> int:
        """Contacts one request may hold, as documented."""
        ...

    @property
    def requests(self) -> int:
        """Attempts made so far, of any kind."""
        ...

    def encode(self, changes: pl.DataFrame) -> pl.Series:
        """CHANGE rows → the content of each contact as it will stand in a request: frozen with the plan."""
        ...

    def prepare(self, contacts: pl.DataFrame, call: Call) -> pl.Series:
        """Plan rows → each contact in the form `call` wants; joined by commas they make a body."""
        ...

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        """One attempt of one request about some contacts of `batch`."""
        ...

    async def create_variables(self, variables: Sequence[Variable]) -> Answer:
        """One attempt to define variables on the list. One that is there already counts as accepted."""
        ...

    async def aclose(self) -> None:
        """Close what is open. No other method is called afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Intended:
    """A batch about to be sent. Of one that was intended before and never settled, an attempt may be applied late."""

    batch: int
    at: float  #: Unix seconds


@dataclass(frozen=True, slots=True)
class Released:
    """A batch that was intended, and that a stop kept from being begun: nothing of it left."""

    batch: int


@dataclass(frozen=True, slots=True)
class Done:
    """A batch whose every contact is decided. `in_doubt`: an attempt got no answer and may be applied late."""

    batch: int
    settled: Settled
    at: float  #: Unix seconds
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What an inbox holds behind a point: who left, in the order the words came. `through` is the id of the last."""

    inbox: str
    through: int
    words: tuple[Suppression, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """A contact to be sent as unsubscribed, whole: they left while a request had them as subscribed.

    Not to be sent before `due` (Unix seconds): a request that got no answer may be carried out until then. `variables`
    is JSON in the API's form.
    """

    email: str
    due: float
    name: str | None
    variables: str
    key: str
    run: str


@dataclass(frozen=True, slots=True)
class Heard:
    """People left the list, and must not get mail."""

    news: News


@dataclass(frozen=True, slots=True)
class Owed:
    """These are to be sent as unsubscribed."""

    corrections: tuple[Correction, ...]


@dataclass(frozen=True, slots=True)
class Paid:
    """These were sent as unsubscribed, with what became of each."""

    corrections: tuple[Correction, ...]
    outcomes: tuple[str, ...]
    at: float  #: Unix seconds


Progress = Intended | Released | Done
"""What is written down about a batch: before its first byte, when it is not begun after all, and when every contact of
it is decided."""

Entry = Progress | Heard | Owed | Paid
"""What a run writes down."""


class NewsDesk(Protocol):
    """Where words about people who left a list come in."""

    def inbox(self) -> str | None:
        """Which inbox it is, or None if there is none. Numbers of events are of one inbox only."""
        ...

    def after(self, event: int) -> News | None:
        """What came behind the event of this number, or None if nothing did. Raises StateError."""
        ...

    def exodus(self, since: float, contacts: int) -> str:
        """A sentence if too many of `contacts` left at once after `since` (Unix seconds), or nothing."""
        ...


class ConsentBook(Protocol):
    """What is remembered of people who left a list. Durable when a method returns."""

    def recorded(self, inbox: str) -> int:
        """The last event of this inbox whose people are recorded."""
        ...

    def known(self, inbox: str) -> int:
        """The last event of this inbox that the snapshot knows."""
        ...

    def record(self, news: News, now: datetime) -> None:
        """These people must not get mail."""
        ...

    def follow(self, moved: Sequence[tuple[str, str]]) -> None:
        """People are off under the second address as they are under the first."""
        ...

    def learned(self, inbox: str, through: int) -> None:
        """The snapshot knows everything up to this event."""
        ...

    def left_since_last_run(self, job: str) -> Mapping[str, int]:
        """People by kind, recorded since the last finished run of `job` ended."""
        ...

    def last_run_ended(self, job: str) -> float:
        """When the last finished run of `job` ended, in Unix seconds; 0 if none did."""
        ...

    def owe(self, corrections: Sequence[Correction]) -> None:
        """These are to be sent as unsubscribed."""
        ...

    def owed(self) -> list[Correction]:
        """What is still to be sent, earliest first."""
        ...

    def corrected(self, run: str) -> set[str]:
        """Addresses for whom `run` has owed a correction, paid or not."""
        ...

    def people(self) -> Mapping[str, str]:
        """Everybody who must not get mail: address → kind."""
        ...

    def paid(self, corrections: Sequence[Correction], outcomes: Sequence[str], at: float) -> None:
        """These were sent, and what became of them."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """What the last finished run of a job saw. `clean`: nothing was left that a next run would send."""

    digest: str
    rules: str
    mapping: str
    generation: int
    clean: bool
    rows: int
    held: int
    same: int
    run: str


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


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the journal has it. `status`: planned, sending, finished or discarded. Times are ISO 8601, UTC."""

    run: str
    job: str
    list: str
    status: str
    result: str
    started_at: str
    ended_at: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """Contacts of some batches by outcome."""

    confirmed: int = 0
    rejected: int = 0
    unresolved: int = 0


class Journal(Protocol):
    """What became of the batches of runs. Durable when a method returns."""

    def begin(self, run: str, job: str, list_id: str, facts: Mapping[str, Any], now: datetime) -> None:
        """A plan is frozen: from here on the run exists, and is unfinished."""
        ...

    def start(self, run: str) -> None:
        """The first request is about to leave."""
        ...

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        """Many entries in one durable step."""
        ...

    def mark(self, run: str, result: str, facts: Mapping[str, Any]) -> None:
        """How a run that stays unfinished stopped."""
        ...

    def finish(self, run: str, result: str, facts: Mapping[str, Any], now: datetime, *, status: str) -> None:
        """A run ends without a change to the state. `status` is finished or discarded."""
        ...

    def unfinished(self, job: str) -> RunRow | None:
        """The run of `job` that was planned or begun and has neither finished nor been discarded."""
        ...

    def last_ended(self) -> datetime | None:
        """When the latest run ended, of any job."""
        ...

    def settled_batches(self, run: str) -> set[int]:
        """Batches that need not be sent again."""
        ...

    def doubtful_batches(self, run: str) -> dict[int, float | None]:
        """Batches of which an attempt may still be applied: batch → Unix time since which none is made; None: open."""
        ...

    def tally(self, run: str, first_batch: int, batches: int) -> Tally:
        """Outcomes of the batches in a range."""
        ...

    def verdicts(self, run: str) -> list[tuple[int, int, str, str, str]]:
        """(batch, position, outcome, code, text) of contacts not plainly confirmed, in plan order."""
        ...

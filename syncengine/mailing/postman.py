"""Who sends the mails of a mailing: many at once, each noted before it leaves and settled when it is answered.

- The record has a contact before its request leaves, so that a crash can make it unknown, never forgotten. The notes of
  many are committed together, off the event loop: with an fsync each, a disk takes 54 mails a second (measured).
- Few are noted ahead of their turn at the pacer (`AHEAD`): when the program is killed each of them is unknown.
- A request that never arrived, or was too many (429), is sent again. One that may have arrived is *unknown*: told,
  and not sent again by itself.
- Several unknown outcomes in a row stop the mailing: the service is in trouble, and each would be one more doubt.
- A refusal of token, list or template stops it too: it would be the same for everybody.
"""

import math
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import anyio

from syncengine.bootstrap import in_thread
from syncengine.client.requests import Trigger
from syncengine.client.results import Triggered
from syncengine.client.smartsender import SmartSender
from syncengine.dispatch.recorder import Recorder
from syncengine.dispatch.retry import Backoff
from syncengine.errors import (
    OutcomeUnknownError,
    RefusedError,
    RejectedError,
    RequestError,
    StateError,
    SyncEngineError,
    UnavailableError,
)
from syncengine.mailing.order import Planned
from syncengine.mailing.record import Intended, Mailed, MailRecord, Note, Released, Settled
from syncengine.stopping import StopSwitch

AHEAD: Final = 0.2  #: seconds of the rate that are noted before their turn: two commits of a slow disk
DOUBTS_IN_A_ROW: Final = 5  #: unknown outcomes without a usable answer between them that stop a mailing

# They are about the template or its list, whoever the contact is (smartsender.md §1.4).
_ABOUT_THE_TEMPLATE: Final = re.compile(
    r"Unexpected token .*|Require \\?[\"']?templateId\\?[\"']? arguments .*", re.DOTALL
)


@dataclass(slots=True)
class Postman:
    """What the senders of one mailing share.

    rate     mails a second, at most
    limit    mails of this run, at most
    observe  gets how many contacts are settled, of how many
    """

    planned: Planned
    service: SmartSender
    record: MailRecord
    stop: StopSwitch
    rate: float
    max_outage: float
    limit: int | None
    observe: Callable[[int, int], None]
    problem: SyncEngineError | None = None
    _doubts: int = 0
    _answered: float = field(default_factory=time.monotonic)
    _left: Iterator[tuple[str, str]] = field(init=False)
    _begun: int = 0
    _backoff: Backoff = field(default_factory=Backoff)
    _ahead: anyio.Semaphore = field(init=False)
    _recorder: Recorder[Note] = field(init=False)
    _unwritable: Exception | None = None

    def __post_init__(self) -> None:
        self._left = iter(self.planned.waiting.items())
        self._ahead = anyio.Semaphore(max(1, math.ceil(self.rate * AHEAD)))
        self._recorder = Recorder(self._write, in_thread)

    async def deliver(self, senders: int) -> None:
        """Send to everybody who waits, so many at once, until nobody is left or a stop is asked for."""
        async with anyio.create_task_group() as writing:
            writing.start_soon(self._recorder.serve)
            with self.stop.hard:
                async with anyio.create_task_group() as group:
                    for _ in range(senders):
                        group.start_soon(self._work)
            writing.cancel_scope.cancel()

    async def _work(self) -> None:
        while not self.stop.requested:
            key, email = next(self._left, ("", ""))
            if not key:
                return
            if self._begun == self.limit:
                self.stop.request("the mails allowed for this run are sent")
                return
            self._begun += 1
            try:
                await self._send(key, email)
            except StateError as error:  # nothing may leave that can't be written down
                self._stop_with(error)

    async def _send(self, key: str, email: str) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                done = await self._attempt(key, email)
            except OutcomeUnknownError as error:
                await self._doubt(key, email, error)
            except RequestError as error:  # an address that a source may have and this call may not
                await self._settle(key, email, Mailed.REJECTED, text=error.what)
            except RejectedError as error:
                await self._reject(key, email, error)
            except RefusedError as error:
                await self._give_up(key, error)
            except UnavailableError as error:
                if not await self._is_out_for_good(key, error):
                    await self.stop.sleep(self._backoff.wait(attempt, random.random()))  # noqa: S311  # jitter
                    continue
            else:
                await self._settle(key, email, Mailed.SENT, message=done.message_id or "")
            return

    async def _attempt(self, key: str, email: str) -> Triggered:
        """One request, noted before its first byte. What certainly has not left is noted no more."""
        order = self.planned.order
        trigger = Trigger(list_id=order.list_id, contact=email, template_id=order.template_id, tags=order.tags)
        has_left = False

        def leaving() -> None:
            nonlocal has_left
            has_left = True
            self._ahead.release()

        await self._ahead.acquire()
        try:
            await self._note(Intended(key, email, datetime.now(UTC)))
            return await self.service.trigger(trigger, attempts=1, leaving=leaving)
        finally:
            if not has_left:
                self._ahead.release()
                await self._note(Released(key))

    # What became of it ------------------------------------------------------------------------------------------------

    async def _settle(self, key: str, email: str, outcome: Mailed, *, message: str = "", text: str = "") -> None:
        await self._note(Settled(key, email, outcome, message, text, datetime.now(UTC)))
        self.planned.tally.add(outcome)
        if outcome is not Mailed.UNKNOWN:
            self._doubts = 0
            self._answered = time.monotonic()
        self.observe(self.planned.tally.settled, self.planned.planned)

    async def _doubt(self, key: str, email: str, error: OutcomeUnknownError) -> None:
        await self._settle(key, email, Mailed.UNKNOWN, text=error.why)
        self._doubts += 1
        if self._doubts >= DOUBTS_IN_A_ROW and self.problem is None:
            self._stop_with(
                UnavailableError(
                    f"{self._doubts} mails in a row got no usable answer",
                    why=error.why,
                    fix="when the service is well again, the same command goes on with those that are pending",
                    code="outcome-unknown",
                    sent="those that got none may have been sent: they are told as unknown, and not sent again",
                )
            )

    async def _reject(self, key: str, email: str, error: RejectedError) -> None:
        if error.texts and all(_ABOUT_THE_TEMPLATE.fullmatch(text.strip()) for text in error.texts):
            why = f"{error.why}\nthe list lacks a variable that the template prints, or there is no such template"
            fix = "compare the template's variables with the list's; the same command goes on then"
            sent = "this contact and those after it were not sent to"
            await self._give_up(
                key, RefusedError("the template is refused", why=why, fix=fix, code="template-refused", sent=sent)
            )
        else:
            await self._settle(key, email, Mailed.REJECTED, text="; ".join(error.texts) or error.why)

    async def _give_up(self, key: str, error: RefusedError) -> None:
        await self._note(Released(key))
        self._stop_with(error)

    async def _is_out_for_good(self, key: str, error: UnavailableError) -> bool:
        """Whether to stop trying a request that did not arrive. The contact then waits for the next run."""
        await self._note(Released(key))
        lasts = time.monotonic() - self._answered
        if not self.stop.requested and lasts <= self.max_outage:
            return False
        if not self.stop.requested:
            error.fix = "the same command goes on"
            error.sent = f"{self.planned.tally.sent:,} mails are sent and recorded"
            self._stop_with(error)
        return True

    def _stop_with(self, error: SyncEngineError) -> None:
        if self.problem is None:
            self.problem = error
        self.stop.request(error.what)

    # The record -------------------------------------------------------------------------------------------------------

    async def _note(self, note: Note) -> None:
        """Return when it is durable, also when everybody is told to leave at once: what was answered is written down.

        Raises StateError.
        """
        with anyio.CancelScope(shield=True):
            await self._recorder.record([note])
        if self._unwritable is not None:
            raise self._unwritable

    def _write(self, notes: Sequence[Note]) -> None:
        if self._unwritable is not None:
            return  # an fsync that failed once may succeed the next time without having written anything
        try:
            self.record.write(self.planned.mailing, notes)
        except Exception as error:  # noqa: BLE001  # raised by whoever waits for it: here it would leave them waiting
            self._unwritable = error

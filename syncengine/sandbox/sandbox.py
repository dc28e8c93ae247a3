"""The sandbox as an object: what its account holds, how it behaves, what it saw, and the ASGI app that serves it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING

from syncengine.sandbox.account import Account, Act, ContactEvent, MessageEvent
from syncengine.sandbox.api import Api
from syncengine.sandbox.behaviour import Behaviour
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.faults import Fault, FaultScript
from syncengine.sandbox.hooks import Hooks, Postman
from syncengine.sandbox.limits import Limits
from syncengine.sandbox.looking import looking_app
from syncengine.sandbox.outbox import TOLD, Message, MessageAct
from syncengine.sandbox.scenarios import scenario, scenario_of
from syncengine.sandbox.watch import Overlap, Request, Watch

if TYPE_CHECKING:
    from starlette.types import Scope

#: Unix time at zero of the clock, unless told otherwise. Whoever serves a sandbox to people sets it to the true one.
EPOCH = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def loop_time() -> float:
    """The running loop's clock: virtual where the loop's is. Outside a loop, the clock that real loops go by."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


class Sandbox:
    """SmartSender API v2 as far as its page goes, in one process and in memory.

    Deterministic: the same requests at the same times, with the same `seed`, give the same answers, ids and log.
    `clock` gives seconds from any origin, `epoch` is Unix time at its zero. What is changed from outside the loop
    (seeds, behaviour, faults) holds from the next request on.

    app       for a server, or for httpx.ASGITransport
    account   lists, tokens, templates, messages, events
    watch     the log and what follows from it
    postman   posts events to the webhook, where `hooks` name one
    faults    the script: `sandbox.faults.add(Fault(what=Status(503)))`
    hang_up   set by whoever serves: closes the connection of a request, and says whether it could. Without it (in
              process) a request that is to be hung up on raises ConnectionDroppedError out of the app
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        faults: Iterable[Fault] = (),
        *,
        seed: int = 0,
        clock: Callable[[], float] = loop_time,
        epoch: float = EPOCH,
        tokens: Iterable[str] = (),
        hooks: Hooks | None = None,
    ) -> None:
        self.clock = clock
        self.epoch = epoch
        self.hang_up: Callable[[Scope], bool] | None = None
        self._behaviour_at_start = behaviour or Behaviour()
        self._faults_at_start = tuple(faults)
        self._seed = seed
        self._tokens = tuple(tokens)
        self._hooks_at_start = hooks or Hooks()
        self._afterwards: set[asyncio.Task[None]] = set()
        self.reset()
        self.app = Api(self, lambda: looking_app(self))  # most sandboxes are never looked at

    def reset(self) -> None:
        """Back to how it was made: empty lists, no log, the behaviour, faults and chance of the beginning.

        A request in flight goes on with the account it came to, which nobody sees any more.
        """
        self.chance = Random(self._seed)  # noqa: S311  # repeatable on purpose
        self.account = Account(self._behaviour_at_start, self.chance, self._tokens)
        self.faults = FaultScript(self._faults_at_start)
        self.limits = Limits()
        self.watch = Watch()
        self.postman = Postman(Random(self._seed), self._hooks_at_start)  # noqa: S311  # as repeatable, and apart

    @property
    def lists(self) -> dict[str, ContactList]:
        return self.account.lists

    @property
    def tokens(self) -> set[str]:
        return self.account.tokens

    @property
    def log(self) -> list[Request]:
        """Every request to the API, oldest first."""
        return self.watch.log

    @property
    def overlaps(self) -> list[Overlap]:
        """Whenever a contact was in two requests at once."""
        return self.watch.overlaps

    @property
    def behaviour(self) -> Behaviour:
        return self.account.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        """Raises ValueError, with nothing changed, when two contacts of a list would become one."""
        self.account.behaviour = behaviour

    def play(self, name: str, settings: Mapping[str, object] | None = None) -> None:
        """Goes over to a scenario: its behaviour, with `settings` on top, and its faults in place of those there are.

        Raises ValueError, with nothing changed, for a scenario or a setting there is not, or when two contacts of a
        list would become one.
        """
        wanted = scenario(name)
        self.behaviour = wanted.behaviour.changed(settings or {})
        self.faults.clear()
        self.faults.add(*wanted.faults)

    @property
    def playing(self) -> str | None:
        """The name of the scenario that this is, if it is one."""
        return scenario_of(self.behaviour, tuple(self.faults))

    def create_list(self, list_id: str, name: str) -> ContactList:
        """Raises ValueError when there is a list with this id."""
        return self.account.create_list(list_id, name)

    def seed(self, list_id: str, contacts: Iterable[Mapping[str, object]]) -> int:
        """Contacts that were there before; see `Account.seed`."""
        return self.account.seed(list_id, contacts)

    def act(self, list_id: str, contact_id: str, act: Act) -> ContactEvent:
        """A person or the operator does something to a contact; see `Account.act`. The webhook tells."""
        event = self.account.act(list_id, contact_id, act, at=self.epoch + self.clock())
        self.postman.post(event.as_json())
        return event

    def react(self, email: str, act: MessageAct, message_id: str = "") -> MessageEvent:
        """Something becomes of a mail to an address; see `Account.react`. The webhook tells."""
        event = self.account.react(email, act, message_id or f"{0xA11:024x}", at=self.epoch + self.clock())
        self.postman.post(event.as_json())
        return event

    @property
    def hooks(self) -> Hooks:
        """Where events are posted; may be set."""
        return self.postman.hooks

    @hooks.setter
    def hooks(self, hooks: Hooks) -> None:
        self.postman.hooks = hooks

    def happen(self, message_id: str, act: MessageAct) -> Message:
        """The recipient of a message, or their server, does something, and the webhook tells. Raises KeyError."""
        message = self.account.outbox.happen(message_id, act, at=self.clock())
        if act in TOLD:
            self.react(message.email, act, message_id)
        return message

    def stats(self) -> dict[str, object]:
        """Totals, in JSON values."""
        contacts = sum(len(one.contacts) for one in self.lists.values())
        resubscribed = sum(len(one.resubscribed) for one in self.lists.values())
        return {**self.watch.stats(), "contacts": contacts, "resubscribed": resubscribed}

    def http_date(self, at: float, rounded: Callable[[float], int]) -> str:
        """A time of the clock as HTTP writes dates: in whole seconds."""
        return formatdate(rounded(self.epoch + at), usegmt=True)

    def go_on_with(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        """Work that outlives the request it came from, as a server's does when its client has left."""
        task = asyncio.create_task(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
        return task

    async def settled(self) -> None:
        """Returns when no request is being carried out any more, not even one whose client has left."""
        while self._afterwards:
            await asyncio.wait(self._afterwards)

"""Variables exist before the first batch that needs them: created once, remembered, restored if the list loses them."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from syncengine.catalogue import says_variable_exists
from syncengine.dispatch.circuit import Circuit
from syncengine.dispatch.dispatcher import Stop
from syncengine.dispatch.retry import HOPELESS_AFTER, Backoff
from syncengine.dispatch.telling import refused
from syncengine.events import Observe, RetryPlanned, VariablesCreated
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Partial, Variable, VariableType
from syncengine.ports import Destination

Remember = Callable[[Sequence[Variable]], Awaitable[None]]

MOST_AT_ONCE = 100
_SAYS_NOTHING = Declined(())


class VariableKeeper:
    """Creates variables. `remember` makes durable that the list has them."""

    def __init__(
        self,
        destination: Destination,
        circuit: Circuit,
        stop: Stop,
        *,
        remember: Remember,
        types: Mapping[str, VariableType],
        observe: Observe,
        chance: random.Random,
    ) -> None:
        self._destination = destination
        self._circuit = circuit
        self._stop = stop
        self._remember = remember
        self._types = types
        self._observe = observe
        self._chance = chance
        self._backoff = Backoff()
        self._one_at_a_time = anyio.Lock()
        self._restored: dict[str, bool] = {}
        self.created: list[str] = []
        self.retries = 0

    async def ensure(self, variables: Sequence[Variable]) -> None:
        """Create all of `variables`, or leave it to the contacts to tell that one could not be."""
        for start in range(0, len(variables), MOST_AT_ONCE):
            some = variables[start : start + MOST_AT_ONCE]
            if not await self._create(some) and len(some) > 1:
                for variable in some:
                    await self._create([variable])

    async def restore(self, name: str) -> bool:
        """The service says that it does not know `name`: create it again, once a run. Gives whether it is there now."""
        async with self._one_at_a_time:
            if name not in self._restored:
                kind = self._types.get(name)
                self._restored[name] = kind is not None and await self._create([Variable(name, kind)])
            return self._restored[name]

    async def _create(self, variables: Sequence[Variable]) -> bool:
        answer = await self._answer(variables)
        match answer:
            case Accepted():
                await self._remember(variables)
                names = tuple(variable.name for variable in variables)
                self.created += names
                self._observe(VariablesCreated(names))
                return True
            case Declined(errors) | Partial(_, errors) if len(variables) == 1:
                there = bool(errors) and all(says_variable_exists(text) for text in errors)
                if there:
                    await self._remember(variables)
                return there
            case Fatal(code, text):
                raise refused(code, text)
            case _:
                return False

    async def _answer(self, variables: Sequence[Variable]) -> Answer:
        """Sent until there is an answer, the circuit gives up, or a stop is requested."""
        attempt = 0
        while True:
            attempt += 1
            async with self._circuit.turn(self._chance.random()):
                answer = await self._destination.create_variables(variables)
                if not isinstance(answer, NoAnswer):
                    self._circuit.succeeded()
                    if attempt >= HOPELESS_AFTER or answer != _SAYS_NOTHING:
                        return answer
                    answer = NoAnswer("neither success nor an error")
                else:
                    self._circuit.failed(answer)
            if self._stop.requested:
                return answer
            self.retries += 1
            wait = self._backoff.wait(attempt, self._chance.random())
            after = max(wait, answer.retry_after or 0.0)
            self._observe(RetryPlanned(Call.ADD, 0, attempt, after, answer.reason))
            await self._stop.sleep(wait)

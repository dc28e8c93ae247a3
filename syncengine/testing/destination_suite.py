"""What every destination owes the engine, as named cases: the memory fake passes them, and so does API v2.

class TestMine(DestinationSuite):
    @pytest.fixture
    def world(self) -> World: ...
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from syncengine.frames import ACTIVE, CONTACT, EMAIL, NAME, VARIABLES
from syncengine.model import Accepted, Answer, Call, Declined, Op, Partial, Variable, VariableType
from syncengine.ports import Batch, Destination
from syncengine.settlement import Ask
from syncengine.wire import joined, variable_json

AWKWARD = 'O\'Neil "the\\ Third",\n🎂 Ünï\tcode {} </script>'


@dataclass(frozen=True, slots=True)
class Seen:
    """A contact as the list holds it."""

    email: str
    name: str | None
    active: bool
    variables: Mapping[str, str]


class World(Protocol):
    """A destination and what its list holds."""

    @property
    def destination(self) -> Destination: ...

    def holds(self) -> dict[str, Seen]:
        """Contacts by address, in lower case."""
        ...


def batch_of(
    destination: Destination, op: Op, contacts: Sequence[Mapping[str, Any]], prepared: Call = Call.ADD
) -> Batch:
    """Contacts (`email`, and `contact`, `name`, `active`, `variables` where they differ from the usual) as a batch."""
    rows = pl.DataFrame(
        {
            EMAIL: [one["email"] for one in contacts],
            CONTACT: [one.get("contact", one["email"]) for one in contacts],
            NAME: pl.Series([one.get("name") for one in contacts], dtype=pl.String),
            ACTIVE: [one.get("active", True) for one in contacts],
            VARIABLES: [_json(one.get("variables", {})) for one in contacts],
        }
    )
    body = joined(destination.prepare(rows, prepared))
    return Batch(0, op, known=False, contacts=rows, prepared=prepared, body=body)


def _json(variables: Mapping[str, str]) -> str:
    frame = pl.DataFrame({name: [value] for name, value in variables.items()} or {"": [""]})
    return str(frame.select(variable_json([(name, pl.col(name)) for name in variables])).item())


class DestinationSuite:
    """Subclass it with a fixture `world`; run it with anyio's pytest plugin."""

    async def ask(self, world: World, call: Call, *contacts: Mapping[str, Any]) -> Answer:
        """One request about all `contacts`."""
        batch = batch_of(world.destination, Op.ADD, contacts, call)
        return await world.destination.submit(batch, Ask(call, tuple(range(len(contacts)))))

    async def test_an_added_contact_is_on_the_list_with_all_it_was_sent_with(self, world: World) -> None:
        await world.destination.create_variables([Variable("city", VariableType.STRING)])

        answer = await self.ask(
            world, Call.ADD, {"email": "Ann@example.com", "name": "Ann", "variables": {"city": "Almaty"}}
        )

        assert answer == Accepted()
        assert world.holds() == {"ann@example.com": Seen("Ann@example.com", "Ann", True, {"city": "Almaty"})}

    async def test_whoever_is_sent_as_unsubscribed_is_unsubscribed(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "a@example.com", "active": False}, {"email": "b@example.com"})

        assert {email: seen.active for email, seen in world.holds().items()} == {
            "a@example.com": False,
            "b@example.com": True,
        }

    async def test_awkward_text_arrives_byte_for_byte(self, world: World) -> None:
        await world.destination.create_variables([Variable("note", VariableType.STRING)])

        await self.ask(world, Call.ADD, {"email": "a@example.com", "name": AWKWARD, "variables": {"note": AWKWARD}})

        seen = world.holds()["a@example.com"]
        assert (seen.name, seen.variables) == (AWKWARD, {"note": AWKWARD})

    async def test_a_hundred_contacts_go_in_one_request(self, world: World) -> None:
        contacts = [{"email": f"user{number}@example.com"} for number in range(100)]
        before = world.destination.requests

        assert await self.ask(world, Call.ADD, *contacts) == Accepted()
        assert await self.ask(world, Call.UPDATE, *contacts) == Accepted()
        assert (len(world.holds()), world.destination.requests - before) == (100, 2)

    async def test_adding_who_exists_is_declined_and_changes_nothing(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "a@example.com", "name": "First"})

        answer = await self.ask(world, Call.ADD, {"email": "a@example.com", "name": "Second"})

        assert isinstance(answer, Declined)
        assert world.holds()["a@example.com"].name == "First"

    async def test_an_update_makes_it_so_and_may_be_repeated(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "a@example.com", "name": "First"})
        change = {"email": "a@example.com", "name": "Second", "active": False}

        assert await self.ask(world, Call.UPDATE, change) == Accepted()
        assert await self.ask(world, Call.UPDATE, change) == Accepted()
        assert world.holds() == {"a@example.com": Seen("a@example.com", "Second", False, {})}

    async def test_an_update_of_a_stranger_is_told_and_the_others_are_done(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "a@example.com"})

        answer = await self.ask(
            world, Call.UPDATE, {"email": "a@example.com", "name": "New"}, {"email": "stranger@example.com"}
        )

        assert isinstance(answer, Partial)
        assert (answer.updated, len(answer.errors)) == (1, 1)
        assert world.holds()["a@example.com"].name == "New"

    async def test_a_single_contact_can_be_updated_alone(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "a@example.com"})

        assert await self.ask(world, Call.UPDATE_ONE, {"email": "a@example.com", "name": "New"}) == Accepted()
        assert isinstance(await self.ask(world, Call.UPDATE_ONE, {"email": "stranger@example.com"}), Declined | Partial)
        assert world.holds()["a@example.com"].name == "New"

    async def test_a_rename_moves_the_contact(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "old@example.com"})

        answer = await self.ask(world, Call.RENAME, {"email": "new@example.com", "contact": "old@example.com"})

        assert answer == Accepted()
        assert set(world.holds()) == {"new@example.com"}

    async def test_removing_makes_gone_and_may_be_repeated(self, world: World) -> None:
        await self.ask(world, Call.ADD, {"email": "a@example.com"}, {"email": "b@example.com"})

        assert await self.ask(world, Call.REMOVE, {"email": "a@example.com"}) == Accepted()
        assert await self.ask(world, Call.REMOVE, {"email": "a@example.com"}) == Accepted()
        assert set(world.holds()) == {"b@example.com"}

    async def test_only_the_contacts_asked_for_are_sent(self, world: World) -> None:
        contacts = [{"email": f"user{number}@example.com"} for number in range(5)]
        batch = batch_of(world.destination, Op.ADD, contacts)

        assert await world.destination.submit(batch, Ask(Call.ADD, (1, 3))) == Accepted()
        assert set(world.holds()) == {"user1@example.com", "user3@example.com"}

    async def test_a_variable_is_needed_before_its_use_and_may_be_created_twice(self, world: World) -> None:
        contact = {"email": "a@example.com", "variables": {"city": "Almaty"}}

        assert isinstance(await self.ask(world, Call.ADD, contact), Declined)
        assert await world.destination.create_variables([Variable("city", VariableType.STRING)]) == Accepted()
        assert await world.destination.create_variables([Variable("city", VariableType.STRING)]) == Accepted()
        assert await self.ask(world, Call.ADD, contact) == Accepted()

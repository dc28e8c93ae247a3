"""Whose contacts these are: the truth about every person, and what happens to them between two exports."""

from dataclasses import dataclass, field, replace
from random import Random

import polars as pl

from syncengine.testing.frames import FrameSource


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the export."""

    id: str
    email: str
    name: str
    active: bool
    city: str


@dataclass(slots=True)
class Company:
    """A CRM. `ids`: its export tells people apart by an id, so that an address can change."""

    chance: Random
    ids: bool = False
    people: dict[str, Person] = field(default_factory=dict)
    _hired: int = 0

    def hire(self, count: int) -> None:
        """`count` new people."""
        for _ in range(count):
            self._hired += 1
            number = self._hired
            person = Person(
                f"p{number}", f"user{number}@example.com", f"Name {number}", self.chance.random() < 0.8, self._city()
            )
            self.people[person.id] = person

    def export(self) -> FrameSource:
        """The file as it is today."""
        rows = list(self.people.values())
        columns = {
            "email": [person.email for person in rows],
            "active": ["yes" if person.active else "no" for person in rows],
            "name": [person.name for person in rows],
            "city": [person.city or None for person in rows],
        }
        ids = {"id": [person.id for person in rows]} if self.ids else {}
        return FrameSource(pl.DataFrame(ids | columns, schema=dict.fromkeys(ids | columns, pl.String)), name="export")

    def live(self, *, leaving: bool) -> None:
        """Some time goes by: people come, change, and (`leaving`) go."""
        for person in list(self.people.values()):
            fate = self.chance.random()
            if fate < 0.12:
                self._change(person, name=f"Name {self.chance.randrange(10**6)}")
            elif fate < 0.22:
                self._change(person, city=self._city())
            elif fate < 0.30:
                self._change(person, active=not person.active)
            elif fate < 0.38 and leaving:
                self.dismiss(person.id)
            elif fate < 0.48 and self.ids:
                self.move(person.id, f"new{self.chance.randrange(10**9)}@example.com")
        if self.ids and len(self.people) > 3 and self.chance.random() < 0.5:
            self.chain()
        self.hire(self.chance.randrange(6))

    def dismiss(self, who: str) -> None:
        """Somebody leaves."""
        del self.people[who]

    def rename(self, who: str, name: str) -> None:
        """Somebody is called otherwise."""
        self._change(self.people[who], name=name)

    def move(self, who: str, email: str) -> None:
        """Somebody has another address."""
        self._change(self.people[who], email=email)

    def chain(self) -> None:
        """The first takes the second's address, who takes the third's, who has a new one."""
        first, second, third = self.chance.sample(sorted(self.people), 3)
        inherited = self.people[second].email, self.people[third].email
        self.move(third, f"new{self.chance.randrange(10**9)}@example.com")
        self.move(second, inherited[1])
        self.move(first, inherited[0])

    def _change(self, person: Person, **changes: object) -> None:
        self.people[person.id] = replace(person, **changes)  # type: ignore[arg-type]  # fields of Person

    def _city(self) -> str:
        return self.chance.choice(("Almaty", "Astana", "Ünïkirchen", 'O\'Brien "West"', ""))

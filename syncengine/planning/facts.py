"""What a plan says about itself: counted while it is made, kept in its manifest, shown and checked later."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from syncengine.model import Op, Variable, VariableType


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """The numbers of a plan. rows = held + same + planned add, update and rename; leavers come on top.

    `known` is the number of contacts of the snapshot, `gone` how many of them the source no longer has.
    `spared` says why leavers are not touched although the job mirrors, empty otherwise.
    """

    rows: int
    same: int
    held: Mapping[str, int]
    planned: Mapping[str, int]
    fields: Mapping[str, int]
    variables: tuple[Variable, ...]
    known: int
    gone: int = 0
    spared: str = ""
    dates: Mapping[str, tuple[int, int]] = field(default_factory=dict)  #: variable → (cells filled, of which ISO dates)
    left: Mapping[str, int] = field(default_factory=dict)  #: people who left the list since the last run, by kind
    alarm: str = ""  #: a sentence if too many of them left at once
    questions: tuple[str, ...] = ()  #: what only a person can tell, with the lines to paste

    @property
    def held_total(self) -> int:
        return sum(self.held.values())

    def of(self, op: Op) -> int:
        """Contacts planned for `op`."""
        return self.planned.get(op.value, 0)

    @property
    def left_alone(self) -> str:
        """A sentence about people who left the source and of whom nothing is made of that, or nothing."""
        if not self.spared:
            return ""
        return f"{self.gone:,} contacts are not in the source and are left alone: {self.spared}"

    @property
    def changes(self) -> int:
        """Contacts planned for any operation."""
        return sum(self.planned.values())

    @property
    def adds_up(self) -> bool:
        """Every row is accounted for (DESIGN.md §2.1)."""
        from_rows = self.of(Op.ADD) + self.of(Op.UPDATE) + self.of(Op.RENAME)
        return self.rows == self.held_total + self.same + from_rows

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "PlanFacts":
        variables = tuple(Variable(one["name"], VariableType(one["type"])) for one in content["variables"])
        dates = {name: (filled, dates) for name, (filled, dates) in content["dates"].items()}
        questions = tuple(content.get("questions", ()))
        return cls(**{**content, "variables": variables, "dates": dates, "questions": questions})

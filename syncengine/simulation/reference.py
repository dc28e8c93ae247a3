"""The six runs that are let die everywhere: small, without chance, and each with what the others do not have."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from syncengine.model import Consent, Mode, OnMissing
from syncengine.sandbox.account import DEFAULT_LIST
from syncengine.sandbox.behaviour import Behaviour
from syncengine.simulation.company import Company
from syncengine.simulation.setting import Setting
from syncengine.simulation.stage import Stage
from syncengine.simulation.weather import Weather, calm
from syncengine.testing.frames import FrameSource

PEOPLE = 10
STRANGER = ("stranger@example.com", "Stranger", True)  #: on the list, and in no export

_SETTING = Setting(
    seed=1,
    scenario="documented",
    behaviour=Behaviour(),
    mode=Mode.UPSERT,
    consent=Consent.SOURCE,
    on_missing=OnMissing.REMOVE,
    ids=False,
    people=PEOPLE,
    batch_size=4,
    rate=20.0,
    concurrency=2,
    trouble=0.0,
    cycles=1,
    kills=0,
    revoked=False,
    drops_variable=False,
)


def _nothing(_: Company) -> None:
    """The export is the first."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A run to be looked at closely.

    there        how many of the company's people are on the list, as somebody brought them there before
    change       what happens between the first export, which is carried out, and the one that is looked at
    interrupted  the run whose interruption this one goes on from
    """

    name: str
    setting: Setting = _SETTING
    there: int = 0
    change: Callable[[Company], None] | None = None
    interrupted: "Reference | None" = None

    def before(self) -> Company:
        """The company at its first export."""
        company = Company(Random(self.setting.seed), ids=self.setting.ids)  # noqa: S311  # always the same people
        company.hire(PEOPLE)
        return company

    def company(self) -> Company:
        """The company at the export that is looked at."""
        company = self.before()
        (self.change or _nothing)(company)
        return company

    def export(self) -> FrameSource:
        return self.company().export()

    def found(self, stage: Stage) -> None:
        """Who is on the list before anything is sent: the first `there`, half of them unsubscribed, and a stranger."""
        people = list(self.before().people.values())[: self.there]
        seeds = [{"email": one.email, "name": "Once", "active": place % 2 == 0} for place, one in enumerate(people)]
        stage.sandbox.seed(DEFAULT_LIST, [*seeds, dict(zip(("email", "name", "active"), STRANGER, strict=True))])

    def weather(self) -> Weather:
        return calm(Random(self.setting.seed))  # noqa: S311  # always the same


def _chain(company: Company) -> None:
    """p1 takes p2's address, who takes p3's, who has a new one; p4 has another name."""
    second, third = company.people["p2"].email, company.people["p3"].email
    company.move("p3", "moved@example.com")
    company.move("p2", third)
    company.move("p1", second)
    company.rename("p4", "Another name")


def _turnover(company: Company) -> None:
    """p1 to p5 leave, p6 has another name, two are new."""
    for who in ("p1", "p2", "p3", "p4", "p5"):
        company.dismiss(who)
    company.rename("p6", "Another name")
    company.hire(2)


FIRST_LOAD = Reference("first load")
UNKNOWN_PAIR = Reference("unknown contacts under source", there=5)
ADD_THEN_HOLD = Reference("unknown contacts under keep", replace(_SETTING, consent=Consent.KEEP), there=5)
RENAME_CHAIN = Reference("a chain of renames", replace(_SETTING, ids=True, mode=Mode.UPSERT), change=_chain)
MIRROR = Reference("mirror with removals", replace(_SETTING, mode=Mode.MIRROR), change=_turnover)
RESUME = Reference("an interrupted run", there=5, interrupted=UNKNOWN_PAIR)
UNCHANGED = Reference("a run without a change", change=_nothing)  #: beside the six: it sends nothing

REFERENCES = (FIRST_LOAD, UNKNOWN_PAIR, ADD_THEN_HOLD, RENAME_CHAIN, MIRROR, RESUME)

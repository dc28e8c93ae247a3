"""What one seed decides before anything happens: the job, the service, and how bad it gets."""

from dataclasses import dataclass, replace
from random import Random

from syncengine.model import Consent, Mode, OnMissing
from syncengine.sandbox.behaviour import Behaviour
from syncengine.sandbox.scenarios import SCENARIOS

#: Servers nobody can come to terms with: they lie, or are gone for good.
_HOPELESS = frozenset({"lying", "list-deleted", "token-revoked", "variable-dropped", "update-replaces"})
#: Servers that leave contacts in doubt for ever, so that a person has to look: `unresolved` is the honest end.
VAGUE = frozenset({"partial-wrong-contact", "ids-short", "ids-long", "ids-duplicated", "applied-but-reported-failed"})


@dataclass(frozen=True, slots=True)
class Setting:
    """The circumstances of one simulation."""

    seed: int
    scenario: str
    behaviour: Behaviour
    mode: Mode
    consent: Consent
    on_missing: OnMissing
    ids: bool
    people: int
    batch_size: int
    rate: float
    concurrency: int
    trouble: float  #: share of requests that something happens to
    cycles: int  #: exports
    kills: int  #: at most so many in a cycle
    revoked: bool  #: the token is revoked once
    drops_variable: bool

    @property
    def is_vague(self) -> bool:
        return self.scenario in VAGUE


def draw(seed: int, chance: Random) -> Setting:
    """The setting of a seed."""
    names = sorted(name for name, one in SCENARIOS.items() if name not in _HOPELESS and not one.faults)
    scenario = "documented" if chance.random() < 0.3 else chance.choice(names)
    mode = chance.choices((Mode.UPSERT, Mode.MIRROR, Mode.UPDATE, Mode.ADD), (55, 30, 8, 7))[0]
    behaviour = SCENARIOS[scenario].behaviour
    if behaviour.latency == 0.0 and chance.random() < 0.3:
        behaviour = replace(behaviour, latency=0.05, jitter=chance.choice((0.0, 0.4)))
    if chance.random() < 0.15:
        behaviour = replace(behaviour, concurrency=chance.randint(1, 3))
    return Setting(
        seed,
        scenario,
        behaviour,
        mode,
        chance.choices((Consent.SOURCE, Consent.KEEP), (65, 35))[0],
        chance.choice(tuple(OnMissing)),
        ids=mode in {Mode.UPSERT, Mode.MIRROR} and chance.random() < 0.35,
        people=chance.randint(3, 40),
        batch_size=chance.randint(2, 12),
        rate=chance.choice((1.0, 2.5, 5.0, 20.0, 100.0)),
        concurrency=chance.randint(1, 6),
        trouble=chance.choice((0.0, 0.05, 0.2, 0.4)),
        cycles=chance.choices((1, 2, 3), (50, 40, 10))[0],
        kills=chance.choice((0, 1, 2, 3)),
        revoked=chance.random() < 0.1,
        drops_variable=chance.random() < 0.1,
    )

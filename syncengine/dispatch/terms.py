"""What may be done for the contacts of a wave, from the job's rules and what the run has seen so far. Pure."""

from dataclasses import dataclass

from syncengine.model import Call, Consent, Mode, Op
from syncengine.settlement import Names, OnExists, Settled, Terms

FEW_EXIST = 0.01
"""Share of unknown contacts that exist up to which an add comes first. An add of 100 is plainly accepted only if
none exists (0.37 at 1 %), and costs 1 request then and 3 otherwise; beginning with the update costs 2."""


@dataclass(slots=True)
class Experience:
    """What became of contacts unknown to the state, and how many the service takes at once."""

    existed: int = 0
    created: int = 0
    largest: int = 100
    names_proven: bool = False  #: an error about a lone contact named that contact
    stores_nothing: bool = False  #: of an add it declines
    keeps_in_secret: bool = False  #: stores a part of an add it declines, and does not tell which

    def learn(self, settled: Settled) -> None:
        self.existed += settled.existed
        self.created += settled.created
        self.names_proven |= settled.names is Names.PROVEN
        self.stores_nothing |= settled.stores_nothing
        self.keeps_in_secret |= settled.obscure > 0

    @property
    def first_call(self) -> Call:
        known = self.existed + self.created
        return Call.UPDATE if known and self.existed / known > FEW_EXIST else Call.ADD


def first_form(op: Op, on_exists: OnExists, experience: Experience) -> Call:
    """The form in which a batch of `op` is sent first."""
    match op:
        case Op.ADD:
            return experience.first_call if on_exists is OnExists.UPDATE else Call.ADD
        case Op.RENAME:
            return Call.RENAME
        case Op.REMOVE:
            return Call.REMOVE
        case Op.UPDATE | Op.UNSUBSCRIBE:
            return Call.UPDATE


def on_exists(mode: Mode, consent: Consent) -> OnExists:
    """What an add does that meets an existing contact (DESIGN.md §5)."""
    if mode is Mode.ADD:
        return OnExists.REJECT
    return OnExists.HOLD if consent is Consent.KEEP else OnExists.UPDATE


def terms_for(op: Op, *, known: bool, mode: Mode, consent: Consent, experience: Experience) -> Terms:
    """The terms of a batch. A contact the list has lost is added again only where the file decides who is on it."""
    may_add = op is Op.ADD or (
        op in {Op.UPDATE, Op.RENAME} and known and mode in {Mode.UPSERT, Mode.MIRROR} and consent is Consent.SOURCE
    )
    exists = on_exists(mode, consent) if op is Op.ADD else OnExists.UPDATE
    # Where nobody may be updated to find out, one contact on the list would make the whole request a riddle.
    alone = exists is not OnExists.UPDATE and experience.keeps_in_secret
    return Terms(
        op,
        known=known,
        may_add=may_add,
        on_exists=exists,
        first=first_form(op, exists, experience),
        largest=1 if alone else experience.largest,
        names=Names.PROVEN if experience.names_proven else Names.UNPROVEN,
        stores_nothing=experience.stores_nothing,
    )

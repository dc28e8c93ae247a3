"""Who may have which address, where contacts are identified by an id: renames in order, collisions and circles held.

The list holds an address once. A claim is a contact that wants an address it does not have: a new contact, or a known
one that moves. Pure, and in plain Python: only claims somebody else has a stake in come here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from syncengine.model import Op
from syncengine.normalise.mapping import Winner


@dataclass(frozen=True, slots=True)
class Claim:
    """`key` wants the address `new`. `old` is the address the list has for it (a rename), None for a new contact.
    `active`: it would be subscribed there.
    """

    key: str
    row: int
    ordinal: int
    new: str
    old: str | None = None
    active: bool = True

    @property
    def op(self) -> Op:
        return Op.ADD if self.old is None else Op.RENAME


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has an address now. `present`: the source still has its owner, in whatever state. `off`: nobody may be
    subscribed there, since the owner is not.
    """

    key: str
    present: bool
    off: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The claim stands. A rename is carried out at `level` (0 first); a new contact may take over from `replaces`."""

    level: int = 0
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The row is held."""

    code: str
    reason: str


Decision = Granted | Refused


def settle_claims(claims: Sequence[Claim], owners: Mapping[str, Owner], winner: Winner) -> dict[str, Decision]:
    """A decision for each claim, by key. `owners` has the owner of each address in question that has one."""
    decisions = _shared(claims, winner)
    standing = {claim.key: claim for claim in claims if claim.key not in decisions}
    movers = {key: claim for key, claim in standing.items() if claim.op is Op.RENAME}
    court = _Court(movers, owners, decisions)
    for key in movers:
        court.rename(key)
    for key, claim in standing.items():
        if claim.op is Op.ADD:
            decisions[key] = court.addition(claim)
    return decisions


def _shared(claims: Sequence[Claim], winner: Winner) -> dict[str, Decision]:
    """Several rows claim one address: a known contact goes before a new one, then the winner rule decides."""
    by_address: dict[str, list[Claim]] = {}
    for claim in claims:
        by_address.setdefault(claim.new, []).append(claim)
    refused: dict[str, Decision] = {}
    for rivals in by_address.values():
        sign = -1 if winner is Winner.LAST else 1
        best, *others = sorted(rivals, key=lambda claim: (claim.op is Op.ADD, sign * claim.ordinal))
        for claim in others:
            reason = f"row {best.row} (id {best.key}) claims the same address"
            refused[claim.key] = Refused("address-shared", reason)
    return refused


@dataclass(slots=True)
class _Court:
    """Decides renames in the order they depend on each other."""

    movers: Mapping[str, Claim]
    owners: Mapping[str, Owner]
    decisions: dict[str, Decision]

    def rename(self, key: str) -> None:
        """Decide the rename of `key`, and every rename that has to go before it."""
        path: list[str] = []
        while key not in self.decisions and key not in path:
            path.append(key)
            before = self._goes_before(self.movers[key])
            if before is None:
                break
            key = before
        if key in path and self._goes_before(self.movers[path[-1]]) is not None:
            self._refuse_circle(path[path.index(key) :])
        for one in reversed(path):
            if one not in self.decisions:
                self.decisions[one] = self._after(self.movers[one])

    def addition(self, claim: Claim) -> Decision:
        """Decide about a new contact; all renames are decided."""
        owner = self.owners.get(claim.new)
        if owner is None:
            return Granted()
        if owner.key in self.movers:
            moved = self.decisions[owner.key]
            return _unless_off(claim, owner, Granted()) if isinstance(moved, Granted) else _taken(claim, owner)
        return _taken(claim, owner) if owner.present else Granted(replaces=owner.key)

    def _goes_before(self, claim: Claim) -> str | None:
        """The contact that has to leave the address first, if it wants to."""
        owner = self.owners.get(claim.new)
        return owner.key if owner is not None and owner.key in self.movers and owner.key != claim.key else None

    def _after(self, claim: Claim) -> Decision:
        owner = self.owners.get(claim.new)
        if owner is None or owner.key == claim.key:
            return Granted()
        if owner.key not in self.movers:
            return _taken(claim, owner)
        before = self.decisions[owner.key]
        if not isinstance(before, Granted):
            return _taken(claim, owner)
        return _unless_off(claim, owner, replace(before, level=before.level + 1))

    def _refuse_circle(self, circle: Sequence[str]) -> None:
        names = " -> ".join(f"id {key}" for key in circle)
        for key in circle:
            self.decisions[key] = Refused("rename-swap", f"addresses go round in a circle: {names} -> id {circle[0]}")


def _unless_off(claim: Claim, owner: Owner, granted: Granted) -> Decision:
    """The address becomes free; whoever was not subscribed there may be the one who reads its mail."""
    if owner.off and claim.active:
        return Refused("suppressed", f"id {owner.key}, which has this address until now, is not subscribed")
    return granted


def _taken(claim: Claim, owner: Owner) -> Refused:
    stays = "stays where it is" if owner.present else "has left the source, but not the list"
    if claim.op is Op.ADD:
        return Refused("address-shared", f"the address is that of id {owner.key}, which {stays}")
    return Refused(
        "rename-taken", f"id {claim.key} can't move: the new address is that of id {owner.key}, which {stays}"
    )

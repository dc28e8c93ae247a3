"""Contacts that want an address, where contacts are identified by an id: set aside until all claims are known.

Only three numbers a claim are held in memory. Rows somebody else has a stake in are looked at one by one (`claims`);
all others go on as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.claims import Claim, Decision, Granted, Owner, settle_claims
from syncengine.frames import ACTIVE, ADDRESS, CODE, CONTACT, KEY, LEVEL, OP, ORDINAL, REASON, REPLACES, ROW
from syncengine.model import Op
from syncengine.normalise.addresses import address_key
from syncengine.normalise.mapping import Winner
from syncengine.normalise.rows import hash_of, key_hashes
from syncengine.snapshot import Snapshot
from syncengine.sorted_hashes import UNKNOWN
from syncengine.spill import Spill

_ADDRESS_HASH = "address_hash"


@dataclass(frozen=True, slots=True)
class Judged:
    """CHANGE rows that may be carried out, and HELD rows that may not."""

    granted: pl.DataFrame
    held: pl.DataFrame


class Claimants:
    """`add` rows that want an address they do not have, then take what `judged` gives.

    Those are new contacts, renames, and contacts that take over from one that left. `seen` is the survey's, and is
    added to: a contact that is taken over has not left. `lowers`: the list decides who is off (`consent = "keep"`).
    """

    def __init__(
        self, snapshot: Snapshot, seen: npt.NDArray[np.bool_], *, winner: Winner, aside: Spill, lowers: bool
    ) -> None:
        self._snapshot = snapshot
        self._seen = seen
        self._winner = winner
        self._aside = aside
        self._lowers = lowers
        self._claims: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Set CHANGE rows aside."""
        if rows.is_empty():
            return
        self._aside.append(rows)
        self._claims.append(rows.select(ORDINAL, hash_of(pl.col(ADDRESS)).alias(_ADDRESS_HASH)))

    def judged(self) -> Iterator[Judged]:
        """Every row that was set aside, once."""
        if not self._claims:
            return
        claims = pl.concat(self._claims)
        owned = pl.Series(self._snapshot.owners_at(claims[_ADDRESS_HASH].to_numpy()) != UNKNOWN)
        contested = claims.filter(pl.col(_ADDRESS_HASH).is_duplicated() | owned)[ORDINAL]
        verdicts = _as_frame(self._decide(contested))
        for rows in self._aside.parts():
            told = rows.join(verdicts, on=KEY, how="left", maintain_order="left")
            granted = told.filter(pl.col(CODE).is_null()).with_columns(pl.coalesce("rank", LEVEL).alias(LEVEL))
            self._keep_replaced(granted[REPLACES].drop_nulls())
            yield Judged(granted.select(rows.columns), told.filter(pl.col(CODE).is_not_null()))

    def _decide(self, contested: pl.Series) -> dict[str, Decision]:
        """Renames may wait for each other across all rows, so that every one of them is heard."""
        heard = [
            part.filter(pl.col(ORDINAL).is_in(contested.implode()) | (pl.col(OP) == Op.RENAME.value)).select(
                KEY, ROW, ORDINAL, OP, ADDRESS, CONTACT, ACTIVE
            )
            for part in self._aside.parts(keep=True)
        ]
        claims = [
            Claim(key, row, ordinal, address, address_key(contact) if op == Op.RENAME.value else None, active)
            for part in heard
            for key, row, ordinal, op, address, contact, active in part.iter_rows()
        ]
        return settle_claims(claims, self._owners(claims), self._winner)

    def _owners(self, claims: Sequence[Claim]) -> dict[str, Owner]:
        """Who has the addresses that are wanted, and whether the source still has them."""
        wanted = pl.DataFrame({ADDRESS: [claim.new for claim in claims]}, schema={ADDRESS: pl.String})
        positions = self._snapshot.owners_at(wanted.select(hash_of(pl.col(ADDRESS))).to_series().to_numpy())
        owners = self._snapshot.rows_at(np.unique(positions[positions != UNKNOWN]))
        here = self._snapshot.owners_at(owners.select(hash_of(pl.col(ADDRESS))).to_series().to_numpy())
        return {
            address: Owner(key, bool(self._seen[position]), off=self._lowers and not active)
            for address, key, active, position in zip(owners[ADDRESS], owners[KEY], owners[ACTIVE], here, strict=True)
        }

    def _keep_replaced(self, keys: pl.Series) -> None:
        found = self._snapshot.recognise(key_hashes(keys).to_numpy(), np.zeros(len(keys), dtype=np.uint64)).positions
        self._seen[found[found != UNKNOWN]] = True


def _as_frame(decisions: Mapping[str, Decision]) -> pl.DataFrame:
    """KEY, CODE and REASON of who is held, `rank` of who may go on."""
    rows = [
        (key, None, None, decision.level)
        if isinstance(decision, Granted)
        else (key, decision.code, decision.reason, None)
        for key, decision in decisions.items()
    ]
    schema = {KEY: pl.String, CODE: pl.String, REASON: pl.String, "rank": pl.UInt32}
    return pl.DataFrame(rows, schema=schema, orient="row")

"""Addresses of contacts with ids: chains are carried out from their tail, circles and collisions are held."""

from hypothesis import given
from hypothesis import strategies as st

from syncengine.claims import Claim, Granted, Owner, Refused, settle_claims
from syncengine.normalise.mapping import Winner


def rename(key: str, old: str, new: str, row: int = 2) -> Claim:
    return Claim(key, row, row, new, old)


def add(key: str, new: str, row: int = 2) -> Claim:
    return Claim(key, row, row, new)


def owners(**addresses: str) -> dict[str, Owner]:
    """address → id; ids in capitals have left the source."""
    return {address: Owner(key, present=not key.isupper()) for address, key in addresses.items()}


def test_a_free_address_is_granted() -> None:
    assert settle_claims([rename("x", "a", "b"), add("y", "c")], {}, Winner.LAST) == {"x": Granted(), "y": Granted()}


def test_a_chain_is_carried_out_tail_first() -> None:
    claims = [rename("x", "a", "b"), rename("y", "b", "c"), rename("z", "c", "d")]

    decided = settle_claims(claims, owners(b="y", c="z"), Winner.LAST)

    assert decided == {"z": Granted(0), "y": Granted(1), "x": Granted(2)}


def test_a_new_contact_may_have_an_address_that_is_being_left() -> None:
    decided = settle_claims([rename("x", "a", "b"), add("n", "a")], owners(a="x"), Winner.LAST)

    assert decided == {"x": Granted(), "n": Granted()}


def test_nobody_is_subscribed_at_an_address_whose_owner_is_off() -> None:
    have = {"a": Owner("x", present=True, off=True)}
    claims = [rename("x", "a", "b"), add("n", "a")]
    told = Refused("suppressed", "id x, which has this address until now, is not subscribed")

    assert settle_claims(claims, have, Winner.LAST) == {"x": Granted(), "n": told}
    assert settle_claims([claims[0], rename("n", "c", "a")], have, Winner.LAST)["n"] == told
    unsubscribed = Claim("n", 2, 2, "a", active=False)
    assert settle_claims([claims[0], unsubscribed], have, Winner.LAST)["n"] == Granted()


def test_a_swap_is_held_naming_both() -> None:
    decided = settle_claims([rename("x", "a", "b"), rename("y", "b", "a")], owners(a="x", b="y"), Winner.LAST)

    assert {decision.code for decision in decided.values() if isinstance(decision, Refused)} == {"rename-swap"}
    assert all("id x" in decision.reason and "id y" in decision.reason for decision in decided.values())  # type: ignore[union-attr]


def test_an_address_whose_owner_stays_is_taken() -> None:
    decided = settle_claims([rename("x", "a", "b"), add("n", "c")], owners(b="y", c="z"), Winner.LAST)

    assert decided == {
        "x": Refused("rename-taken", "id x can't move: the new address is that of id y, which stays where it is"),
        "n": Refused("address-shared", "the address is that of id z, which stays where it is"),
    }


def test_a_new_contact_takes_over_from_one_that_left_and_a_rename_does_not() -> None:
    decided = settle_claims([add("n", "a"), rename("x", "b", "c")], owners(a="GONE", c="LEFT"), Winner.LAST)

    assert decided["n"] == Granted(replaces="GONE")
    assert isinstance(decided["x"], Refused)
    assert "has left the source, but not the list" in decided["x"].reason


def test_of_two_new_contacts_with_one_address_the_winner_rule_takes_one() -> None:
    claims = [add("m", "a", row=2), add("n", "a", row=9)]

    assert settle_claims(claims, {}, Winner.LAST)["n"] == Granted()
    assert settle_claims(claims, {}, Winner.FIRST)["m"] == Granted()
    assert settle_claims(claims, {}, Winner.FIRST)["n"] == Refused(
        "address-shared", "row 2 (id m) claims the same address"
    )


@given(st.permutations(range(8)), st.integers(0, 8))
def test_whatever_the_renames_those_granted_can_be_carried_out_in_their_order(targets: list[int], movers: int) -> None:
    """People 0…7 have addresses 0…7; the first `movers` want the address `targets` says, shifted by some free ones."""
    wanted = {f"p{n}": targets[n] + (3 if n % 3 == 0 else 0) for n in range(movers)}
    claims = [
        rename(key, key[1:], str(new), row=n) for n, (key, new) in enumerate(wanted.items()) if key[1:] != str(new)
    ]
    have = {str(n): Owner(f"p{n}", present=True) for n in range(8)}

    decided = settle_claims(claims, have, Winner.LAST)

    held_by = {str(n): f"p{n}" for n in range(8)}
    granted = [(decision.level, claim) for claim in claims if isinstance(decision := decided[claim.key], Granted)]
    for _, claim in sorted(granted, key=lambda pair: pair[0]):
        assert claim.new not in held_by
        assert claim.old is not None
        held_by[claim.new] = held_by.pop(claim.old)
    assert len(decided) == len(claims)

"""Whatever the service answers, every contact of a batch gets the verdict it deserves, in few requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from syncengine.model import Accepted, Answer, Call, Declined, NoAnswer, Op, Outcome, Partial, Verdict
from syncengine.settlement import Ask, Circumstances, Names, OnExists, Settled, Terms, settle

Service = Callable[[Ask], Answer]

UNKNOWN = Terms(Op.ADD, known=False, may_add=True)
KNOWN = Terms(Op.UPDATE, known=True, may_add=True)
KEEP = Terms(Op.ADD, known=False, may_add=True, on_exists=OnExists.HOLD)
ADD_ONLY = Terms(Op.ADD, known=False, may_add=True, on_exists=OnExists.REJECT)


def address(position: int) -> str:
    return f"user{position}@example.com"


def carry_out(
    size: int,
    terms: Terms,
    service: Service,
    carriers: Callable[[str], set[int]] = lambda _: set(),
    *,
    lost: int = 0,
) -> tuple[Settled, list[Ask]]:
    """Let `service` answer until everybody is decided; gives the outcome and what was asked."""
    about = Circumstances(lambda: [(address(position),) for position in range(size)], carriers, lambda: lost)
    machine = settle(size, terms, about)
    asked: list[Ask] = []
    try:
        ask = next(machine)
        while True:
            asked.append(ask)
            ask = machine.send(service(ask))
    except StopIteration as end:
        return end.value, asked


def script(*answers: Answer) -> Service:
    """Answers in this order, whatever is asked; it is a fault to ask for more."""
    left = list(answers)
    return lambda _: left.pop(0)


def calls(asked: Sequence[Ask]) -> list[tuple[str, int]]:
    return [(ask.call.value, len(ask.positions)) for ask in asked]


def missing(position: int) -> str:
    return f"Unable to find email {address(position)} in email list listId"


def exists(position: int) -> str:
    return f"Contact with email {address(position)} already exists"


def rejected(code: str, text: str) -> Verdict:
    return Verdict(Outcome.REJECTED, code, text)


@pytest.mark.parametrize("terms", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_whoever_left_and_is_missing_is_gone_and_not_added_again(terms: Terms) -> None:
    about = Circumstances(lambda: [(address(at),) for at in range(5)], lambda _: set(), left=lambda: {3})
    machine = settle(5, replace(terms, first=Call.UPDATE), about)
    added: set[int] = set()

    def answer(ask: Ask) -> Answer:
        if ask.call is Call.ADD:
            added.update(ask.positions)
            return Accepted()
        if 3 not in ask.positions:
            return Accepted()
        return Partial(len(ask.positions) - 1, (missing(3),)) if len(ask.positions) > 1 else Declined((missing(3),))

    try:
        ask = next(machine)
        while True:
            ask = machine.send(answer(ask))
    except StopIteration as end:
        settled: Settled = end.value

    assert settled.verdicts == {3: Verdict(Outcome.CONFIRMED, "gone")}
    assert added == set()


def test_a_plain_acceptance_confirms_everybody_in_one_request() -> None:
    settled, asked = carry_out(100, UNKNOWN, script(Accepted()))

    assert (settled.verdicts, calls(asked)) == ({}, [("add", 100)])
    assert (settled.created, settled.existed) == (100, 0)


def test_one_bad_contact_that_is_named_leaves_the_other_99_confirmed() -> None:
    text = "Contact user7@example.com is on the black list"
    settled, asked = carry_out(100, KNOWN, script(Partial(99, (text,))))

    assert settled.verdicts == {7: rejected("unknown-text", text)}
    assert settled.count(Outcome.CONFIRMED) == 99
    assert calls(asked) == [("update", 100)]


def test_unknown_contacts_of_which_some_exist_take_an_add_an_update_and_an_add() -> None:
    existing = set(range(0, 100, 3))
    new = [position for position in range(100) if position not in existing]
    service = script(
        Declined((exists(0),)),
        Partial(len(existing), tuple(missing(position) for position in new)),
        Accepted(),
    )

    settled, asked = carry_out(100, UNKNOWN, service)

    assert settled.verdicts == {}
    assert calls(asked) == [("add", 100), ("update", 100), ("add", len(new))]
    assert (settled.existed, settled.created) == (len(existing), len(new))


def test_beginning_with_the_update_saves_a_request_where_contacts_mostly_exist() -> None:
    terms = Terms(Op.ADD, known=False, may_add=True, first=Call.UPDATE)

    settled, asked = carry_out(100, terms, script(Partial(70, tuple(map(missing, range(30)))), Accepted()))

    assert settled.verdicts == {}
    assert calls(asked) == [("update", 100), ("add", 30)]


def test_under_keep_an_existing_contact_is_held_and_never_updated() -> None:
    settled, asked = carry_out(10, KEEP, script(Declined((exists(3),)), Accepted()))

    assert settled.verdicts == {3: Verdict(Outcome.UNRESOLVED, "consent-unknown", exists(3))}
    assert calls(asked) == [("add", 10), ("add", 9)]


def test_under_keep_unnamed_trouble_is_found_by_adds_alone() -> None:
    def service(ask: Ask) -> Answer:
        return Declined(("Something exists already",)) if 5 in ask.positions else Accepted()

    settled, asked = carry_out(100, KEEP, service)

    assert settled.verdicts == {5: rejected("unknown-text", "Something exists already")}
    assert {ask.call for ask in asked} == {Call.ADD}


def test_a_job_that_only_adds_rejects_who_exists() -> None:
    settled, _ = carry_out(3, ADD_ONLY, script(Declined((exists(1),)), Accepted()))

    assert settled.verdicts == {1: rejected("already-exists", exists(1))}


def test_a_known_contact_the_list_has_lost_is_added_again() -> None:
    settled, asked = carry_out(100, KNOWN, script(Partial(99, (missing(4),)), Accepted()))

    assert (settled.verdicts, calls(asked)) == ({}, [("update", 100), ("add", 1)])


def test_a_known_contact_the_list_has_lost_is_told_where_it_may_not_be_added() -> None:
    terms = Terms(Op.UPDATE, known=True, may_add=False)

    settled, _ = carry_out(2, terms, script(Partial(1, (missing(0),))))

    assert settled.verdicts == {0: rejected("not-found", missing(0))}


def test_an_update_only_job_rejects_whom_the_list_does_not_have() -> None:
    terms = Terms(Op.UPDATE, known=False, may_add=False)

    settled, _ = carry_out(2, terms, script(Partial(1, (missing(0),))))

    assert settled.verdicts == {0: rejected("not-on-list", missing(0))}


@pytest.mark.parametrize("bad", [0, 17, 49, 50, 99])
def test_one_unnamed_failure_is_found_by_halving_with_the_counts_saving_requests(bad: int) -> None:
    def service(ask: Ask) -> Answer:
        return Partial(len(ask.positions) - 1, ("Internal fault",)) if bad in ask.positions else Accepted()

    settled, asked = carry_out(100, Terms(Op.UPDATE, known=True, may_add=False), service)

    assert settled.verdicts == {bad: rejected("unknown-text", "Internal fault")}
    assert len(asked) <= 1 + 7


def test_many_unnamed_failures_are_asked_one_by_one() -> None:
    bad = set(range(0, 100, 2))

    def service(ask: Ask) -> Answer:
        failed = bad & set(ask.positions)
        errors = tuple(f"fault {position}" for position in sorted(failed))
        return Partial(len(ask.positions) - len(failed), errors) if failed else Accepted()

    settled, asked = carry_out(100, Terms(Op.UPDATE, known=True, may_add=False), service)

    assert set(settled.verdicts) == bad
    assert settled.verdicts[42] == rejected("unknown-text", "fault 42")
    assert len(asked) <= 101


def test_a_request_refused_for_one_contact_nobody_names_is_halved() -> None:
    text = 'Not valid type for argument "contacts" in query "addContactToEmailList"'

    def service(ask: Ask) -> Answer:
        return Declined((text,)) if 31 in ask.positions else Accepted()

    settled, asked = carry_out(100, UNKNOWN, service)

    assert settled.verdicts == {31: rejected("arguments", text)}
    assert len(asked) <= 15


def test_too_few_ids_prove_nothing_and_are_asked_again() -> None:
    def service(ask: Ask) -> Answer:
        return Partial(98, ()) if len(ask.positions) == 100 else Accepted()

    settled, asked = carry_out(100, KNOWN, service)

    assert (settled.verdicts, calls(asked)) == ({}, [("update", 100), ("update", 50), ("update", 50)])


def test_an_error_told_twice_hides_another_contact() -> None:
    def service(ask: Ask) -> Answer:
        bad = {8, 9} & set(ask.positions)
        if not bad:
            return Accepted()
        named = min(bad)
        return Partial(len(ask.positions) - len(bad), tuple(missing(named) for _ in bad))

    settled, _ = carry_out(20, Terms(Op.UPDATE, known=True, may_add=False), service)

    assert set(settled.verdicts) == {8, 9}


def test_an_error_that_names_a_stranger_blames_nobody() -> None:
    def service(ask: Ask) -> Answer:
        if 3 not in ask.positions:
            return Accepted()
        return Partial(len(ask.positions) - 1, ("Unable to find email nobody@example.org in email list x",))

    settled, _ = carry_out(10, Terms(Op.UPDATE, known=True, may_add=False), service)

    assert set(settled.verdicts) == {3}


def test_an_error_that_names_the_wrong_contact_of_the_batch_is_seen_through() -> None:
    """The service blames 0 for what 5 did: 0 turns out to exist, so what cleared the others is withdrawn."""
    present = set(range(10)) - {5}

    def service(ask: Ask) -> Answer:
        absent = [position for position in ask.positions if position not in present]
        if ask.call is Call.ADD:
            there = [position for position in ask.positions if position in present]
            if there:
                return Declined(tuple(map(exists, there)))
            present.update(ask.positions)
            return Accepted()
        if not absent:
            return Accepted()
        blamed = ask.positions[0] if len(ask.positions) > 1 else absent[0]
        return Partial(len(ask.positions) - 1, (missing(blamed),))

    settled, _ = carry_out(10, Terms(Op.ADD, known=False, may_add=True, first=Call.UPDATE), service)

    assert settled.verdicts == {}
    assert present == set(range(10))


def test_a_rename_that_was_done_and_blamed_does_not_clear_the_one_that_was_not() -> None:
    """0 could not be renamed, 1 was; 1 is blamed, and alone it is not found, under a name that is nobody's."""
    renamed: set[int] = set()

    def service(ask: Ask) -> Answer:
        if ask.call is Call.UPDATE:
            return Accepted() if renamed.issuperset(ask.positions) else Partial(0, ("Something went wrong",))
        failed = [position for position in ask.positions if position == 0 or position in renamed]
        renamed.update(set(ask.positions) - {0})
        blamed = exists(1) if len(ask.positions) > 1 else missing(99)
        return Partial(len(ask.positions) - len(failed), (blamed,) * len(failed))

    terms = Terms(Op.RENAME, known=True, may_add=True, names=Names.UNPROVEN)
    settled, _ = carry_out(2, terms, service)

    assert [settled.verdicts[0].outcome] == [verdict.outcome for verdict in settled.verdicts.values()]
    assert settled.verdicts[0].outcome is not Outcome.CONFIRMED


def test_a_contact_said_to_exist_and_not_to_exist_is_left_unresolved() -> None:
    def service(ask: Ask) -> Answer:
        if ask.call is Call.ADD:
            return Declined(tuple(map(exists, ask.positions)))
        return Partial(0, tuple(map(missing, ask.positions)))

    settled, _ = carry_out(2, UNKNOWN, service)

    assert {verdict.code for verdict in settled.verdicts.values()} == {"contradictory"}
    assert settled.count(Outcome.UNRESOLVED) == 2


def test_a_request_that_never_gets_an_answer_is_cut_down_to_the_contact_that_is_why() -> None:
    def service(ask: Ask) -> Answer:
        return NoAnswer("HTTP 500", status=500) if 2 in ask.positions else Accepted()

    settled, _ = carry_out(100, UNKNOWN, service)

    assert settled.verdicts == {2: Verdict(Outcome.UNRESOLVED, "no-answer", "HTTP 500")}


def test_a_lowered_limit_halves_the_requests_without_blaming_anybody() -> None:
    def service(ask: Ask) -> Answer:
        if len(ask.positions) > 50:
            return Declined(("Current limitation is 100 contacts per request!",))
        return Accepted()

    settled, asked = carry_out(100, UNKNOWN, service)

    assert (settled.verdicts, calls(asked)) == ({}, [("add", 100), ("add", 50), ("add", 50)])


def test_a_limit_learnt_before_is_kept_from_the_start() -> None:
    terms = Terms(Op.ADD, known=False, may_add=True, largest=40)

    _, asked = carry_out(100, terms, lambda _: Accepted())

    assert calls(asked) == [("add", 40), ("add", 40), ("add", 20)]


def test_removing_who_is_not_there_is_what_was_wanted() -> None:
    text = "Contact user1@example.com not found!"

    settled, asked = carry_out(3, Terms(Op.REMOVE, known=True, may_add=False), script(Declined((text,)), Accepted()))

    assert settled.verdicts == {1: Verdict(Outcome.CONFIRMED, "gone")}
    assert settled.count(Outcome.CONFIRMED) == 3
    assert calls(asked) == [("remove", 3), ("remove", 2)]


def test_a_rename_whose_answer_was_lost_is_completed_at_the_new_address() -> None:
    settled, asked = carry_out(
        1, Terms(Op.RENAME, known=True, may_add=True), script(Partial(0, (missing(0),)), Accepted())
    )

    assert (settled.verdicts, calls(asked)) == ({}, [("rename", 1), ("update", 1)])


def test_a_lone_answer_without_id_and_error_gets_a_second_opinion() -> None:
    settled, asked = carry_out(1, KNOWN, script(Partial(0, ()), Accepted()))

    assert (settled.verdicts, calls(asked)) == ({}, [("update", 1), ("update-one", 1)])


def test_carriers_of_an_unknown_variable_share_the_fault_and_the_others_go_on() -> None:
    text = "Variable name city not found in defined email list variables! Try to add it first!"
    carriers = {1, 4, 6}

    def service(ask: Ask) -> Answer:
        return Declined((text,)) if carriers & set(ask.positions) else Accepted()

    settled, asked = carry_out(10, UNKNOWN, service, carriers=lambda _: carriers)

    assert settled.verdicts == dict.fromkeys(carriers, rejected("variable-missing", text))
    assert calls(asked) == [("add", 10), ("add", 7), ("add", 3)]


def test_what_no_answer_settles_is_unresolved_within_the_budget_and_not_guessed() -> None:
    settled, asked = carry_out(100, KNOWN, lambda ask: Partial(0, ()) if len(ask.positions) > 1 else Declined(()))

    assert settled.count(Outcome.UNRESOLVED) == 100
    assert len(asked) <= 3 + 2 * 100


# -- names that have to be proven ------------------------------------------------------------------------------------

UNPROVEN = replace(KNOWN, may_add=False, names=Names.UNPROVEN)


def test_names_are_relied_on_after_one_lone_contact_was_named() -> None:
    text = "Contact user7@example.com is on the black list"
    other = "Contact user9@example.com is on the black list"

    settled, asked = carry_out(100, UNPROVEN, script(Partial(98, (text, other)), Partial(0, (text,))))

    assert settled.verdicts == {7: rejected("unknown-text", text), 9: rejected("unknown-text", other)}
    assert (calls(asked), settled.names) == ([("update", 100), ("update", 1)], Names.PROVEN)


@pytest.mark.parametrize("bad", [3, 8])
def test_an_error_that_names_another_contact_blames_nobody_and_clears_nobody(bad: int) -> None:
    """The service names the neighbour; asked about one contact alone it names a stranger."""

    def service(ask: Ask) -> Answer:
        if bad not in ask.positions:
            return Accepted()
        others = [position for position in ask.positions if position != bad]
        name = address(others[0]) if others else "stranger@example.org"
        return Partial(len(others), (f"Unable to find email {name} in email list listId",))

    settled, asked = carry_out(10, UNPROVEN, service)

    assert set(settled.verdicts) == {bad}
    assert settled.names is Names.MISLEADING
    assert len(asked) <= 9


def test_a_removal_that_names_the_wrong_contact_removes_the_right_ones() -> None:
    gone, left = {4}, set()

    def service(ask: Ask) -> Answer:
        unknown = [position for position in ask.positions if position in gone | left]
        if unknown:
            others = [position for position in ask.positions if position not in unknown]
            name = address(others[0]) if others else "stranger@example.org"
            return Declined((f"Contact {name} not found!",))
        left.update(ask.positions)
        return Accepted()

    settled, _ = carry_out(10, Terms(Op.REMOVE, known=True, may_add=False, names=Names.UNPROVEN), service)

    assert settled.count(Outcome.CONFIRMED) == 10
    assert left == set(range(10)) - gone


# -- who is on the list, and from whom, where nobody may be updated to find out --------------------------------------


@dataclass
class Adding:
    """A list that holds some contacts, behind a service that stores a part of an add it declines."""

    present: set[int]
    cut: int = 100  #: errors told at most
    stops: bool = False

    def __call__(self, ask: Ask) -> Answer:
        errors = []
        for position in ask.positions:
            if position in self.present:
                errors.append(exists(position))
                if self.stops:
                    break
            self.present.add(position)
        return Declined(tuple(errors[: self.cut])) if errors else Accepted()


@pytest.mark.parametrize("terms", [KEEP, ADD_ONLY], ids=["keep", "add"])
@pytest.mark.parametrize("there", [{3}, {0, 50, 99}, set(range(0, 100, 3))])
def test_contacts_stored_by_a_declined_add_are_ours(terms: Terms, there: set[int]) -> None:
    settled, asked = carry_out(100, terms, Adding(set(there)))

    told = Outcome.UNRESOLVED if terms is KEEP else Outcome.REJECTED
    assert {position: verdict.outcome for position, verdict in settled.verdicts.items()} == dict.fromkeys(there, told)
    assert len(asked) <= 3


def test_who_was_there_before_is_never_taken_for_ours_when_errors_are_cut_short() -> None:
    there = set(range(0, 100, 3))

    settled, _ = carry_out(100, KEEP, Adding(set(there), cut=10))

    assert there <= settled.verdicts.keys()
    assert {verdict.code for verdict in settled.verdicts.values()} == {"consent-unknown"}
    assert set(range(1, 27)) - there <= set(range(100)) - settled.verdicts.keys()  # before the tenth that was told


def test_who_was_there_before_is_never_taken_for_ours_by_a_service_that_stops() -> None:
    there = {10, 40, 70}

    settled, asked = carry_out(100, KEEP, Adding(set(there), stops=True))

    assert there <= settled.verdicts.keys()
    assert set(range(10)) <= set(range(100)) - settled.verdicts.keys()
    assert len(asked) <= 203


@pytest.mark.parametrize(("terms", "code"), [(KEEP, "consent-unknown"), (ADD_ONLY, "perhaps-ours")])
def test_after_a_lost_answer_nobody_can_tell_who_put_the_contact_there(terms: Terms, code: str) -> None:
    settled, _ = carry_out(5, terms, Adding(set(range(5))), lost=1)

    assert {(one.outcome, one.code) for one in settled.verdicts.values()} == {(Outcome.UNRESOLVED, code)}
    assert settled.obscure == 0


def test_under_keep_a_service_that_names_nobody_and_keeps_a_part_leaves_all_of_the_batch_unresolved() -> None:
    inner = Adding({5})

    def service(ask: Ask) -> Answer:
        answer = inner(ask)
        return (
            answer if isinstance(answer, Accepted) else Declined(("Contact could not be saved",) * len(answer.errors))
        )

    settled, _ = carry_out(20, KEEP, service)

    assert (settled.count(Outcome.UNRESOLVED), settled.obscure) == (20, 20)


def test_a_withheld_contact_is_not_sent_and_keeps_its_verdict() -> None:
    about = Circumstances(lambda: [(address(position),) for position in range(3)], lambda _: set())
    waits = Verdict(Outcome.UNRESOLVED, "rename-waits", "")
    machine = settle(3, KNOWN, about, withheld={1: waits})

    assert next(machine).positions == (0, 2)
    with pytest.raises(StopIteration) as end:
        machine.send(Accepted())
    assert end.value.value.verdicts == {1: waits}


@pytest.mark.parametrize(
    ("lost", "terms", "asks"),
    [
        (0, Terms(Op.RENAME, known=True, may_add=False), 1),
        (1, Terms(Op.RENAME, known=True, may_add=False), 2),
        (0, Terms(Op.RENAME, known=True, may_add=True), 2),
    ],
)
def test_a_rename_of_a_missing_contact_looks_at_the_new_address_only_where_it_may_be_ours(
    lost: int, terms: Terms, asks: int
) -> None:
    """Under `keep` an unknown contact at the new address would be subscribed by it."""
    settled, asked = carry_out(1, terms, script(Partial(0, (missing(0),)), Accepted()), lost=lost)

    assert (len(asked), settled.count(Outcome.REJECTED)) == (asks, int(asks == 1))


def test_an_add_declined_without_a_word_does_not_make_those_who_were_there_ours() -> None:
    """It may be a proxy's answer: what the service would have named, it has not said."""

    def service(ask: Ask) -> Answer:
        told = () if len(ask.positions) == 12 else tuple(exists(position) for position in ask.positions)
        return Declined(told)

    settled, _ = carry_out(12, KEEP, service)

    assert {verdict.code for verdict in settled.verdicts.values()} == {"consent-unknown"}
    assert settled.count(Outcome.CONFIRMED) == 0

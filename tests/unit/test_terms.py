"""Which call a batch begins with and what may follow, from the job's rules and what the run has seen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.dispatch.terms import Experience, first_form, on_exists, terms_for
from syncengine.model import Call, Consent, Mode, Op
from syncengine.settlement import Names, OnExists, Settled, Terms

ADD, UPDATE, RENAME, UNSUBSCRIBE, REMOVE = Op


@pytest.mark.parametrize(
    ("mode", "consent", "expected"),
    [
        (Mode.UPSERT, Consent.SOURCE, OnExists.UPDATE),
        (Mode.UPDATE, Consent.SOURCE, OnExists.UPDATE),
        (Mode.MIRROR, Consent.SOURCE, OnExists.UPDATE),
        (Mode.ADD, Consent.SOURCE, OnExists.REJECT),
        (Mode.UPSERT, Consent.KEEP, OnExists.HOLD),
        (Mode.UPDATE, Consent.KEEP, OnExists.HOLD),
        (Mode.MIRROR, Consent.KEEP, OnExists.HOLD),
        (Mode.ADD, Consent.KEEP, OnExists.REJECT),
    ],
)
def test_what_an_add_does_that_meets_an_existing_contact(mode: Mode, consent: Consent, expected: OnExists) -> None:
    assert on_exists(mode, consent) is expected


MAY_ADD = {
    # op, known → the pairs of mode and consent under which the contact may be added
    (ADD, False): {(mode, consent) for mode in Mode for consent in Consent},
    (UPDATE, True): {(Mode.UPSERT, Consent.SOURCE), (Mode.MIRROR, Consent.SOURCE)},
    (UPDATE, False): set(),
    (RENAME, True): {(Mode.UPSERT, Consent.SOURCE), (Mode.MIRROR, Consent.SOURCE)},
    (UNSUBSCRIBE, True): set(),
    (REMOVE, True): set(),
}


@pytest.mark.parametrize("consent", Consent)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(("op", "known"), MAY_ADD)
def test_a_contact_the_list_lost_is_added_again_only_where_the_file_decides(
    op: Op, *, known: bool, mode: Mode, consent: Consent
) -> None:
    terms = terms_for(op, known=known, mode=mode, consent=consent, experience=Experience())

    assert terms.may_add is ((mode, consent) in MAY_ADD[op, known])
    assert (terms.op, terms.known) == (op, known)


@pytest.mark.parametrize("mode", [Mode.UPSERT, Mode.UPDATE, Mode.MIRROR])
@pytest.mark.parametrize("experience", [Experience(), Experience(existed=100), Experience(created=100)])
def test_under_keep_nobody_unknown_is_ever_asked_for_with_an_update(mode: Mode, experience: Experience) -> None:
    terms = terms_for(ADD, known=False, mode=mode, consent=Consent.KEEP, experience=experience)

    assert (terms.first, terms.on_exists) == (Call.ADD, OnExists.HOLD)


@pytest.mark.parametrize("experience", [Experience(), Experience(existed=100)])
@pytest.mark.parametrize(
    ("op", "call"),
    [(UPDATE, Call.UPDATE), (UNSUBSCRIBE, Call.UPDATE), (RENAME, Call.RENAME), (REMOVE, Call.REMOVE)],
)
def test_a_known_contact_has_one_call_whatever_was_seen(op: Op, call: Call, experience: Experience) -> None:
    for exists in OnExists:
        assert first_form(op, exists, experience) is call


@pytest.mark.parametrize(
    ("existed", "created", "call"),
    [
        (0, 0, Call.ADD),
        (0, 100, Call.ADD),
        (1, 99, Call.ADD),
        (2, 98, Call.UPDATE),
        (1, 98, Call.UPDATE),
        (100, 0, Call.UPDATE),
        (1, 0, Call.UPDATE),
        (10, 990, Call.ADD),
        (11, 989, Call.UPDATE),
    ],
)
def test_unknown_contacts_begin_with_the_call_that_mostly_fits(existed: int, created: int, call: Call) -> None:
    experience = Experience(existed, created)

    assert first_form(ADD, OnExists.UPDATE, experience) is call
    assert terms_for(ADD, known=False, mode=Mode.UPSERT, consent=Consent.SOURCE, experience=experience) == Terms(
        ADD, known=False, may_add=True, on_exists=OnExists.UPDATE, first=call, largest=100, names=Names.UNPROVEN
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=20))
def test_what_is_learnt_from_batches_adds_up(batches: list[tuple[int, int]]) -> None:
    experience = Experience()
    for existed, created in batches:
        experience.learn(Settled(100, {}, existed=existed, created=created))

    existed, created = sum(pair[0] for pair in batches), sum(pair[1] for pair in batches)
    assert (experience.existed, experience.created) == (existed, created)
    assert (experience.first_call is Call.UPDATE) is (100 * existed > existed + created)


def test_a_limit_the_service_told_is_kept_in_the_terms() -> None:
    terms = terms_for(UPDATE, known=True, mode=Mode.UPSERT, consent=Consent.SOURCE, experience=Experience(largest=50))

    assert terms.largest == 50


def test_names_in_errors_are_relied_on_once_the_service_has_named_a_lone_contact() -> None:
    experience = Experience()
    experience.learn(Settled(100, {}, names=Names.MISLEADING))
    before = terms_for(UPDATE, known=True, mode=Mode.UPSERT, consent=Consent.SOURCE, experience=experience)
    experience.learn(Settled(100, {}, names=Names.PROVEN))
    after = terms_for(UPDATE, known=True, mode=Mode.UPSERT, consent=Consent.SOURCE, experience=experience)

    assert (before.names, after.names) == (Names.UNPROVEN, Names.PROVEN)


@pytest.mark.parametrize(("consent", "alone"), [(Consent.KEEP, 1), (Consent.SOURCE, 100)])
def test_a_service_that_keeps_contacts_in_secret_gets_them_one_by_one_where_it_must(
    consent: Consent, alone: int
) -> None:
    experience = Experience()
    experience.learn(Settled(100, {}, obscure=99))

    terms = terms_for(ADD, known=False, mode=Mode.UPSERT, consent=consent, experience=experience)

    assert terms.largest == alone

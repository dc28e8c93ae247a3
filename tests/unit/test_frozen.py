"""A plan on disk is cut into waves and batches once, and is exactly what was frozen, or refused."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.errors import StateError
from syncengine.frames import BATCH, FINGERPRINT, KEY, KEY_HASH, KNOWN, LEVEL, NOT_BEFORE, OP, SOURCE
from syncengine.frozen import PLAN_FOLDER, ROWS_PER_FILE, FrozenPlan, PlanWriter, Wave, open_plan
from syncengine.model import Op
from syncengine.normalise.rows import key_hashes
from syncengine.report import MANIFEST

FACTS = {"run": "0198", "columns": ["Имя", "a,b"], "plan": {"rows": 3, "none": None}}

Change = tuple[str, Op, bool, int, float]  #: key, op, known, level, not before


def changes(rows: Sequence[Change]) -> pl.DataFrame:
    keys = pl.Series(KEY, [row[0] for row in rows], dtype=pl.String)
    return pl.DataFrame(
        {
            KEY: keys,
            KEY_HASH: key_hashes(keys),
            FINGERPRINT: pl.Series(range(len(rows)), dtype=pl.UInt64),
            OP: pl.Series([row[1].value for row in rows], dtype=pl.String),
            KNOWN: pl.Series([row[2] for row in rows], dtype=pl.Boolean),
            LEVEL: pl.Series([row[3] for row in rows], dtype=pl.UInt32),
            NOT_BEFORE: pl.Series([row[4] for row in rows], dtype=pl.Float64),
            SOURCE: pl.Series(
                [{"Email": f"{row[0]}@example.com"} for row in rows], dtype=pl.Struct({"Email": pl.String})
            ),
        }
    )


def many(op: Op, count: int, *, known: bool = True) -> pl.DataFrame:
    return changes([(f"{op}-{number}", op, known, 0, 0.0) for number in range(count)])


def held(count: int, start: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"ordinal": range(start, start + count), "code": ["email-empty"] * count})


def writer(folder: Path, *, batch_size: int = 3) -> PlanWriter:
    return PlanWriter(folder, batch_size)


def outline(plan: FrozenPlan) -> list[tuple[str, bool, int, int, int]]:
    return [(wave.op.value, wave.known, wave.first_batch, wave.batches, wave.contacts) for wave in plan.waves]


def batches(plan: FrozenPlan, wave: Wave) -> list[tuple[int, list[str]]]:
    """Number and keys of each batch of a wave."""
    rows = pl.concat(plan.slices(wave))
    grouped = rows.group_by(BATCH, maintain_order=True).agg(KEY)
    return [(number, keys) for number, keys in grouped.iter_rows()]


@pytest.fixture
def plan(tmp_path: Path) -> FrozenPlan:
    """A plan with something of everything."""
    draft = writer(tmp_path / "run [1]*")  # folders are called so, and polars would take it for a pattern
    draft.hold(held(2))
    draft.change(pl.concat([many(Op.UPDATE, 4), many(Op.ADD, 7, known=False)]))
    draft.refresh(many(Op.UPDATE, 2))
    draft.rekey(many(Op.UPDATE, 1))
    draft.hold(held(1, start=2))
    return draft.freeze(FACTS)


# Waves and batches ----------------------------------------------------------------------------------------------------


def test_an_empty_plan_is_a_plan(tmp_path: Path) -> None:
    plan = writer(tmp_path).freeze({})

    assert (plan.waves, plan.contacts, plan.batches) == ((), 0, 0)
    assert [*plan.held()] == []
    assert [*plan.rekeyed()] == []
    assert plan.same() is None
    assert open_plan(tmp_path) == plan


def test_waves_go_unsubscribes_renames_updates_adds_removals_whatever_came_first(tmp_path: Path) -> None:
    draft = writer(tmp_path)
    draft.change(
        changes(
            [
                ("remove", Op.REMOVE, True, 0, 0.0),
                ("add", Op.ADD, False, 0, 0.0),
                ("update unknown", Op.UPDATE, False, 0, 0.0),
                ("update", Op.UPDATE, True, 0, 0.0),
                ("rename second", Op.RENAME, True, 1, 0.0),
                ("rename first", Op.RENAME, True, 0, 0.0),
                ("rename third", Op.RENAME, True, 2, 0.0),
                ("unsubscribe", Op.UNSUBSCRIBE, True, 0, 0.0),
            ]
        )
    )

    plan = draft.freeze({})

    assert [batches(plan, wave) for wave in plan.waves] == [
        [(0, ["unsubscribe"])],
        [(1, ["rename first"])],
        [(2, ["rename second"])],
        [(3, ["rename third"])],
        [(4, ["update"])],
        [(5, ["update unknown"])],
        [(6, ["add"])],
        [(7, ["remove"])],
    ]


def test_what_must_wait_is_a_wave_of_its_own_behind_what_need_not(tmp_path: Path) -> None:
    draft = writer(tmp_path)
    draft.change(
        changes(
            [
                ("late", Op.UPDATE, True, 0, 1000.0),
                ("soon", Op.UPDATE, True, 0, 0.0),
                ("later", Op.UPDATE, True, 0, 2000.0),
                ("add", Op.ADD, False, 0, 0.0),
            ]
        )
    )
    draft.change(changes([("less late", Op.UPDATE, True, 0, 500.0)]))

    plan = draft.freeze({})

    assert [(wave.not_before, batches(plan, wave)) for wave in plan.waves] == [
        (0.0, [(0, ["soon"])]),
        (2000.0, [(1, ["late", "later", "less late"])]),
        (0.0, [(2, ["add"])]),
    ]


def test_batches_are_full_but_for_the_last_of_a_wave_and_keep_the_order(tmp_path: Path) -> None:
    draft = writer(tmp_path, batch_size=3)
    for start in range(0, 8, 2):
        draft.change(many(Op.ADD, 8, known=False)[start : start + 2])

    plan = draft.freeze({})

    assert batches(plan, plan.waves[0]) == [
        (0, ["add-0", "add-1", "add-2"]),
        (1, ["add-3", "add-4", "add-5"]),
        (2, ["add-6", "add-7"]),
    ]


@pytest.mark.parametrize("batch_size", [70, 100, 60_000])
def test_a_wave_of_many_files_numbers_its_batches_through(tmp_path: Path, batch_size: int) -> None:
    count = 2 * ROWS_PER_FILE + 777
    draft = writer(tmp_path, batch_size=batch_size)
    frame = (
        many(Op.ADD, 1, known=False).drop(KEY).join(pl.DataFrame({KEY: [str(n) for n in range(count)]}), how="cross")
    )
    for start in range(0, count, 30_000):
        draft.change(frame[start : start + 30_000])
    draft.change(many(Op.REMOVE, 1))

    plan = draft.freeze({})

    adds, removals = plan.waves
    rows = pl.concat(plan.slices(adds))
    assert rows[KEY].to_list() == [str(number) for number in range(count)]
    assert rows[BATCH].to_list() == [number // batch_size for number in range(count)]
    assert (adds.batches, removals.first_batch) == (-(-count // batch_size), -(-count // batch_size))
    assert len(adds.files) == (3 if batch_size < ROWS_PER_FILE else 2)


def test_batches_settled_before_are_left_out_and_the_others_keep_their_numbers(plan: FrozenPlan) -> None:
    wave = plan.waves[1]

    left = pl.concat(plan.slices(wave, without={0, 2, 99}))

    assert outline(plan) == [("update", True, 0, 2, 4), ("add", False, 2, 3, 7)]
    assert left.group_by(BATCH, maintain_order=True).agg(KEY).rows() == [
        (3, ["add-3", "add-4", "add-5"]),
        (4, ["add-6"]),
    ]


def test_what_the_source_said_of_each_contact_is_frozen(plan: FrozenPlan) -> None:
    rows = pl.concat(plan.slices(plan.waves[0]))

    assert rows[SOURCE].struct.field("Email").to_list()[0] == "update-0@example.com"


def test_held_rows_renewed_fingerprints_and_new_keys_are_kept_beside(plan: FrozenPlan) -> None:
    assert pl.concat(plan.held())["ordinal"].to_list() == [0, 1, 2]
    same = plan.same()
    assert same is not None
    assert same.collect().columns == [KEY, KEY_HASH, FINGERPRINT]
    assert same.collect()[KEY].to_list() == ["update-0", "update-1"]
    assert pl.concat(plan.rekeyed())[KEY].to_list() == ["update-0"]


CHANGES = st.lists(
    st.tuples(st.sampled_from(Op), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 9.0])), max_size=25
)


@settings(deadline=None, max_examples=40)
@given(CHANGES, st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_change_is_in_exactly_one_batch_of_its_wave(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[Op, bool, int, float]],
    batch_size: int,
    chance: random.Random,
) -> None:
    rows: list[Change] = [(f"key-{number}", *change) for number, change in enumerate(drawn)]
    draft = writer(tmp_path_factory.mktemp("plan"), batch_size=batch_size)
    while rows:
        some = chance.randrange(1, len(rows) + 1)
        draft.change(changes(rows[:some]))
        rows = rows[some:]

    plan = draft.freeze({})

    numbers: list[int] = []
    keys: list[str] = []
    for wave in plan.waves:
        wave_batches = batches(plan, wave)
        assert [number for number, _ in wave_batches] == [*range(wave.first_batch, wave.first_batch + wave.batches)]
        assert [len(some) for _, some in wave_batches[:-1]] == [batch_size] * (wave.batches - 1)
        for number, some in wave_batches:
            numbers.append(number)
            keys += some
            ops = {drawn[int(key.removeprefix("key-"))][:2] for key in some}
            assert ops == {(wave.op, wave.known)}
    assert numbers == [*range(plan.batches)]
    assert sorted(keys) == sorted(f"key-{number}" for number in range(len(drawn)))
    assert plan.contacts == len(drawn)


# On disk --------------------------------------------------------------------------------------------------------------


def test_a_plan_opened_again_is_the_plan_that_was_frozen(plan: FrozenPlan) -> None:
    opened = open_plan(plan.folder)

    assert opened == plan
    assert opened.facts == FACTS
    opened.verify()


def test_everything_is_private(plan: FrozenPlan) -> None:
    assert (plan.folder / PLAN_FOLDER).stat().st_mode & 0o777 == 0o700
    modes = {path.stat().st_mode & 0o777 for path in plan.folder.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_without_its_manifest_there_is_no_plan(tmp_path: Path) -> None:
    draft = writer(tmp_path)
    draft.change(many(Op.ADD, 5, known=False))

    with pytest.raises(StateError) as refused:
        open_plan(tmp_path)
    assert refused.value.code == "plan-unreadable"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"null", b"\xff", b'{"waves": 5}', b'{"waves": [{"op": "fly"}]}', b'{"waves":[1]}'],
)
def test_a_manifest_that_can_not_be_read_is_refused(plan: FrozenPlan, content: bytes) -> None:
    (plan.folder / MANIFEST).write_bytes(content)

    with pytest.raises(StateError) as refused:
        open_plan(plan.folder)
    assert (refused.value.code, refused.value.exit_code) == ("plan-unreadable", 8)


@pytest.mark.parametrize("kind", ["update", "add", "held", "same", "rekey"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "empty"])
def test_a_plan_of_which_any_file_changed_is_refused(plan: FrozenPlan, kind: str, damage: str) -> None:
    path = next((plan.folder / PLAN_FOLDER).glob(f"*-{kind}.parquet"))
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        changed = {"cut": content[:-1], "flipped": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "empty": b""}
        path.write_bytes(changed[damage])

    with pytest.raises(StateError) as refused:
        open_plan(plan.folder).verify()

    assert refused.value.code == "plan-damaged"
    assert path.name in refused.value.what


def test_a_copy_is_the_same_plan_elsewhere(plan: FrozenPlan, tmp_path: Path) -> None:
    copy = plan.copy_to(tmp_path / "copy")

    copy.verify()
    assert open_plan(tmp_path / "copy") == copy
    assert [batches(copy, wave) for wave in copy.waves] == [batches(plan, wave) for wave in plan.waves]
    assert json.loads((tmp_path / "copy" / MANIFEST).read_text(encoding="utf-8")) == json.loads(
        (plan.folder / MANIFEST).read_text(encoding="utf-8")
    )

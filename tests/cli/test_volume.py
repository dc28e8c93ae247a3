"""The main job at a size that matters: 100,000 generated contacts over HTTP, and a second sync that sends nothing."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

SAMPLES = Path(__file__).parents[2] / "sample_data"
ROWS = 100_000


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", SAMPLES / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["contacts.csv", "contacts.parquet"])
def test_a_hundred_thousand_contacts_are_loaded_in_one_sync_and_a_second_sends_nothing(
    project: "Project", generator: ModuleType, name: str
) -> None:
    generator.write(project.folder / name, ROWS)
    config = (SAMPLES / "syncengine.toml").read_text(encoding="utf-8")
    for old, new in (("http://127.0.0.1:8787", project.url), ("rate = 50 ", "rate = 50000 "), ("contacts.csv", name)):
        assert old in config
        config = config.replace(old, new)
    (project.folder / "syncengine.toml").write_text(config, encoding="utf-8")

    first = project.run("sync", "--yes", "--json")
    requests = len(project.sandbox.log)
    second = project.run("sync", "--yes", "--json")

    report = first.report
    assert (first.code, second.code, report["rows"], report["held"]) == (0, 0, ROWS, 2_424)
    assert report["confirmed"]["add"] == len(project.contacts.contacts) == ROWS - 2_424
    assert requests == report["requests"] == 976 + 1  # batches of 100, and the variables
    assert len(project.errors(report)) == report["held"]
    assert (second.report["same"], second.report["requests"], len(project.sandbox.log)) == (ROWS - 2_424, 0, requests)
    assert project.sandbox.overlaps == []


def test_the_samples_are_what_the_generator_writes(generator: ModuleType, tmp_path: Path) -> None:
    import polars as pl

    for name in ("contacts.csv", "contacts.parquet"):
        generator.write(tmp_path / name, 1_000)

    assert (tmp_path / "contacts.csv").read_bytes() == (SAMPLES / "contacts.csv").read_bytes()
    shown = pl.read_parquet(SAMPLES / "contacts.parquet")
    assert pl.read_parquet(tmp_path / "contacts.parquet").equals(shown)
    assert set(shown["Email"].str.extract(r"@([a-z.а-я]+)").drop_nulls()) == {
        "example.com",
        "example.org",
        "пример.example.com",
    }

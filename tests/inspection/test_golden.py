"""`inspect` on every sample says what was looked over by a person once."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


goldens = module(Path(__file__).parent / "goldens.py")
troubles = module(goldens.SAMPLES / "troubles.py")


def test_the_troubles_are_what_their_script_writes(tmp_path: Path) -> None:
    troubles.write(tmp_path)

    assert {path.name: path.read_bytes() for path in (goldens.SAMPLES / "troubles").iterdir()} == {
        path.name: path.read_bytes() for path in tmp_path.iterdir()
    }


def test_there_is_a_golden_answer_for_every_sample_and_no_other() -> None:
    assert {path.name for path in goldens.GOLDEN.iterdir()} == {
        goldens.golden_of(sample).name for sample in goldens.samples()
    }


@pytest.mark.parametrize("sample", goldens.samples())
def test_inspect_says_of_a_sample_what_it_always_did(sample: str) -> None:
    assert goldens.inspected(sample) == goldens.golden_of(sample).read_text(encoding="utf-8")

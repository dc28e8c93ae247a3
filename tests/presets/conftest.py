import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def sample_module(name: str) -> ModuleType:
    """A script of `sample_data/` as a module."""
    spec = importlib.util.spec_from_file_location(f"sample_{name}", ROOT / "sample_data" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def crm() -> ModuleType:
    return sample_module("crm")

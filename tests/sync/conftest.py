from pathlib import Path

import pytest

from syncengine.testing import MemoryDestination, MemoryJournal, MemoryStateStore, Trial


@pytest.fixture
def to() -> MemoryDestination:
    return MemoryDestination()


@pytest.fixture
def trial(tmp_path: Path, to: MemoryDestination) -> Trial:
    """A job over fakes: `trial.destination` is `to`."""
    journal = MemoryJournal()
    return Trial(tmp_path, to, MemoryStateStore(journal), journal)

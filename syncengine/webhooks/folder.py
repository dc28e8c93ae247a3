"""Where everything about webhooks is kept: a folder of its own in the state directory."""

from pathlib import Path
from typing import Final

FOLDER: Final = "webhooks"
UNDONE: Final = "undone.jsonl"  #: whom `webhooks undo` lifted, as keyed ids


def hook_folder(state_folder: Path) -> Path:
    """The folder of inbox and path."""
    return state_folder / FOLDER

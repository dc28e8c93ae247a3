"""Sources as they really come: any CRM's export, told by its bytes, read in bounded memory, no row lost in silence.

What is named here is loaded when it is asked for: to look at a header takes no polars (see `glance`).
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from syncengine.sources.encoding import Guess, guess_encoding
    from syncengine.sources.open import members, open_source
    from syncengine.sources.options import SourceOptions

__all__ = ["Guess", "SourceOptions", "guess_encoding", "members", "open_source"]

_HOMES: Final = {
    "Guess": "encoding",
    "SourceOptions": "options",
    "guess_encoding": "encoding",
    "members": "open",
    "open_source": "open",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

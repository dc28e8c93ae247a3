"""Sources as they really come: any CRM's export, told by its bytes, read in bounded memory, no row lost in silence."""

from syncengine.sources.encoding import Guess, guess_encoding
from syncengine.sources.open import members, open_source
from syncengine.sources.options import SourceOptions

__all__ = ["Guess", "SourceOptions", "guess_encoding", "members", "open_source"]

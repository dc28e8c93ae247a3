"""The state of each list: the snapshot of confirmed contacts, and what is known about single ones."""

from syncengine.state.consent_book import ConsentBook, Word
from syncengine.state.store import StateStore

__all__ = ["ConsentBook", "StateStore", "Word"]

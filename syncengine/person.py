"""A person to be erased: under which keys they are known, and whether a text is about them. Pure."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import idna

from syncengine.normalise.addresses import address_key

_BEFORE: Final = r"(?<![\w.!#$%&*+/=?^`{|}~-])"  #: nothing that could belong to a longer address
_AFTER: Final = r"(?![\w-]|\.\w)"


@dataclass
class Person:
    """`email` as somebody typed it. `keys` identify them in lists; their address in its normal form is one."""

    email: str
    keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.keys.add(self.address)

    @cached_property
    def address(self) -> str:
        """The address in its normal form."""
        return address_key(self.email)

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        local, _, domain = self.address.rpartition("@")
        spellings = {self.address, self.email.strip().lower(), f"{local}@{_as_unicode(domain)}"}
        return re.compile(f"{_BEFORE}(?:{'|'.join(map(re.escape, spellings))}){_AFTER}", re.IGNORECASE)

    def is_in(self, text: str) -> bool:
        """Whether the address stands in `text`, in whatever spelling; as a part of another address it does not."""
        return "@" in text and (self._spelled.search(text) is not None or address_key(text) == self.address)

    def is_within(self, value: Any) -> bool:
        """Whether the address stands in some text of a JSON value."""
        match value:
            case str():
                return self.is_in(value)
            case dict():
                return any(self.is_within(one) for one in value.values())
            case list():
                return any(self.is_within(one) for one in value)
            case _:
                return False


def _as_unicode(domain: str) -> str:
    try:
        return idna.decode(domain)
    except ValueError:  # IDNAError is one: not a domain, and then there is no other spelling
        return domain

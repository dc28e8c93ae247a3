"""What the server takes for an address, and which spellings it takes for the same one. All of it undocumented."""

import re
from collections.abc import Callable
from enum import StrEnum

#: Deliberately lenient, as a service that must accept half the world's lists: one @, a dot in the domain, no blanks
#: but inside a quoted local part.
_ADDRESS = r"(?:\"[^\"]+\"|[^@\s\"]+)@[^@\s]+\.[^@\s]+"
_VALID = re.compile(_ADDRESS)
_VALID_IN_BLANKS = re.compile(rf"\s*{_ADDRESS}\s*")


class Normalisation(StrEnum):
    """What the server makes of an address before it stores it or looks for it."""

    NONE = "none"
    TRIM_LOWERCASE = "trim_lowercase"
    STRIP_PLUS = "strip_plus"  #: trim and lower case, and `anna+news@…` becomes `anna@…`


def _as_given(address: str) -> str:
    return address


def _trimmed_lowercase(address: str) -> str:
    return address.strip().lower()


def _without_plus(address: str) -> str:
    local, at, domain = address.strip().lower().rpartition("@")
    return local.partition("+")[0] + at + domain


_CLEAN: dict[Normalisation, Callable[[str], str]] = {
    Normalisation.NONE: _as_given,
    Normalisation.TRIM_LOWERCASE: _trimmed_lowercase,
    Normalisation.STRIP_PLUS: _without_plus,
}


class Addresses:
    """One server's rule. Its parts are attributes holding functions: they run for every contact of every request.

    is_valid   may this text be an address at all?
    clean      the spelling that is stored
    key        two addresses with one key are the same contact
    """

    __slots__ = ("clean", "is_valid", "key")

    def __init__(self, normalisation: Normalisation, *, case_sensitive: bool) -> None:
        trims = normalisation is not Normalisation.NONE
        self.is_valid: Callable[[str], object] = (_VALID_IN_BLANKS if trims else _VALID).fullmatch
        self.clean: Callable[[str], str] = _CLEAN[normalisation]
        self.key: Callable[[str], str] = str.lower if not trims and not case_sensitive else self.clean

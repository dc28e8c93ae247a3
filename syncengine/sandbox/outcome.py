"""What came of a call: who was written to, and what was at fault with the others."""

from typing import NamedTuple


class ContactFaultError(Exception):
    """One contact is refused; `email` is the address in the text, as the client sent it, if there is one."""

    def __init__(self, text: str, email: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.email = email


class Outcome(NamedTuple):
    """Ids of the contacts written to, in the order of the request, and the faults of the others, likewise."""

    ids: list[str]
    faults: list[ContactFaultError]

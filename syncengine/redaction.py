"""The token never leaves except in its header: wrapped here, and scrubbed from every text that could echo it."""

import base64
import json
import re
import urllib.parse
from typing import Final, NoReturn

MASK: Final = "***"
_TOKEN = re.compile(r"[\x21-\x7e]{8,512}")


class Secret:
    """A token that can't be shown by accident: str, repr, format, pickle and json give `***` or fail."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The token itself, for the request header only."""
        return self._value

    def looks_valid(self) -> bool:
        """Whether it can be sent as a header: 8 to 512 visible ASCII characters."""
        return _TOKEN.fullmatch(self._value) is not None

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))


def _forms(secret: str) -> tuple[str, ...]:
    """How a token may be written in a text that echoes it, longest first."""
    forms = {
        secret,
        urllib.parse.quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
    }
    return tuple(sorted(forms, key=len, reverse=True))


def scrub(text: str, *secrets: Secret) -> str:
    """`text` without any of the secrets, in whatever of the usual encodings."""
    for secret in secrets:
        for form in _forms(secret.reveal()):
            if form and form in text:
                text = text.replace(form, MASK)
    return text


def scrub_bytes(body: bytes, secret: Secret) -> bytes:
    """`body` without the secret. The raw form is looked for first: that is all an ordinary answer costs."""
    if secret.reveal().encode() not in body and b"%" not in body and b"\\" not in body:
        return body
    for form in _forms(secret.reveal()):
        body = body.replace(form.encode(), MASK.encode())
    return body

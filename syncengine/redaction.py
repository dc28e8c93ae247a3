"""What must not be shown: the token, wrapped here and scrubbed from every text that could echo it; and addresses."""

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

MASK: Final = "***"
_ADDRESS: Final = re.compile(r"[^\s<>()\[\],;:\"'=]+@[^\s<>()\[\],;:\"']+")
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


@dataclass(frozen=True, slots=True)
class _Echoes:
    """How a token may be written where it is echoed: `plain` as it is and in base64, the patterns in any way."""

    plain: tuple[bytes, bytes]
    in_text: re.Pattern[str]
    in_bytes: re.Pattern[bytes]


@lru_cache(maxsize=8)
def _echoes(secret: str) -> _Echoes:
    """Each character may stand as it is, behind backslashes (PHP writes `\\/`), as `\\u0041` or as `%41`."""
    encoded = base64.b64encode(secret.encode())
    whole = f"{''.join(map(_spellings, secret))}|{re.escape(encoded.decode())}"
    return _Echoes((secret.encode(), encoded), re.compile(whole), re.compile(whole.encode()))


def _spellings(character: str) -> str:
    # All backslashes in front are taken, never some: what is left of a JSON text must still be one. Bounded: a body of
    # backslashes would take for ever.
    percent = "".join(f"%{byte:02x}" for byte in character.encode())
    return rf"(?:\\{{0,8}}{re.escape(character)}|\\{{1,8}}(?i:u{ord(character):04x})|(?i:{percent}))"


def scrub(text: str, *secrets: Secret) -> str:
    """`text` without any of the secrets, in whatever of the usual encodings."""
    for secret in secrets:
        if secret.reveal():
            text = _echoes(secret.reveal()).in_text.sub(MASK, text)
    return text


def scrub_bytes(body: bytes, secret: Secret) -> bytes:
    """`body` without the secret. Where nothing is escaped two searches are all it costs: 12 µs, not 220."""
    if not secret.reveal():
        return body
    echoes = _echoes(secret.reveal())
    plain, encoded = echoes.plain
    if not (b"%" in body or b"\\" in body or plain in body or encoded in body):
        return body
    return echoes.in_bytes.sub(MASK.encode(), body)


def mask_addresses(text: str) -> str:
    """`text` with every address cut to its first letter and domain: `a***@acme.com`."""
    return _ADDRESS.sub(lambda match: match[0][0] + "***@" + match[0].rpartition("@")[2], text)


def hide_addresses(text: str) -> str:
    """`text` with no address left."""
    return _ADDRESS.sub("<address>", text)

"""Keyed ids of contacts: the same within one state directory, useless without its key file.

Logs carry them in place of addresses, and a person who was erased leaves one behind, so that the next file does not
bring them back.
"""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from syncengine.durable import write_durably

KEY_FILE: Final = "log.key"


def contact_key_of(folder: Path) -> bytes:
    """The secret of a state directory's ids, made when first needed."""
    path = folder / KEY_FILE
    if not path.exists():
        write_durably(path, secrets.token_bytes(32))
    return path.read_bytes()


def contact_id(key: str, secret: bytes) -> str:
    """The id a contact has in the logs: 12 hex digits."""
    return tombstone(key, secret)[:12]


def tombstone(address: str, secret: bytes) -> str:
    """HMAC-SHA256 of an address in its normal form, under the secret as hex text (so does polars-hash), in hex."""
    return hmac.new(secret.hex().encode(), address.encode(), hashlib.sha256).hexdigest()


def key_check(secret: bytes) -> str:
    """What tells whether a key file still holds the secret under which tombstones were made."""
    return hashlib.sha256(b"syncengine key " + secret).hexdigest()[:16]

"""The JSON an answer of API v2 comes in, in every spelling of its documents (smartsender.md §1.7).

Keys are read in lower case; `error`, `errors` and `error_stack` hold a text or a list of texts; `result` is true, 1 or
"true". Whatever is no complete JSON object raises WrongShapeError: a proxy says 200 too.
"""

import json
import re
from typing import Any, Final, NoReturn

MAX_TEXT: Final = 500  #: characters of an error text that are kept
MAX_ERRORS: Final = 10_000

# Escape sequences act on the terminal they are shown on, and half a surrogate pair can't be written to any file.
_UNFIT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ERROR_KEYS: Final = ("error", "errors", "error_stack")


class WrongShapeError(ValueError):
    """Not what the documents describe."""


def is_true(result: Any) -> bool:
    """Whether `result` says yes."""
    match result:
        case int():  # a bool is one
            return result == 1
        case str():
            return result in {"true", "1"}
        case _:
            return False


def error_texts(told: dict[str, Any]) -> tuple[str, ...]:
    """Texts of every error container, in order, each cut to `MAX_TEXT` and fit to be shown and stored."""
    texts: list[str] = []
    for key in _ERROR_KEYS:
        content = told.get(key)
        if content is None or content == "":
            continue
        if isinstance(content, str):
            content = [content]
        if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
            raise WrongShapeError(f"`{key}` holds no texts")
        texts += content
    if len(texts) > MAX_ERRORS:
        raise WrongShapeError(f"{len(texts)} errors in one answer")
    return tuple(fit(text) for text in texts)


def fit(text: str) -> str:
    """`text` cut to `MAX_TEXT`, without what must not reach a terminal or a file."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_TEXT])


def told_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, top-level keys in lower case. Raises WrongShapeError for anything else."""
    try:
        told = _STRICT.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and integers too long are ValueErrors
        raise WrongShapeError(_glimpse(body)) from error
    if not isinstance(told, dict):
        raise WrongShapeError(_glimpse(body))
    lowered = {key.lower(): value for key, value in told.items()}
    if len(lowered) != len(told):
        raise WrongShapeError("a key stands twice in the answer")
    return lowered


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise WrongShapeError("a key stands twice in the answer")
    return result


def _no_constant(name: str) -> NoReturn:
    raise WrongShapeError(f"{name} is not JSON")


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_no_repeated_keys, parse_constant=_no_constant)
"""As `json.loads` would make one for every answer."""


def _glimpse(body: bytes) -> str:
    text = body[:60].decode("ascii", "replace").replace("\n", " ")
    return f"no JSON object but {text!r}" if body else "an empty body"

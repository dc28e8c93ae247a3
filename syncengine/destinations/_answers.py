"""What an answer of API v2 says. Total: any bytes give an `Answer`, and nothing here raises.

The documents contradict each other (smartsender.md §1.7), so every spelling is taken: `error_stack` and `Error_stack`,
`errors`, `error`, a text or a list of texts, `result` as true, 1 or "true", errors with any status. What is not a
complete JSON object of the expected shape is no answer, whatever its status: a proxy says 200 too.
"""

import json
import re
from typing import Any, Final, NoReturn

from syncengine.catalogue import Family, read_text
from syncengine.destinations._http import Reply
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Partial

MAX_TEXT: Final = 500  #: characters of an error text that are kept
MAX_ERRORS: Final = 10_000

# Escape sequences act on the terminal they are shown on, and half a surrogate pair can't be written to any file.
_UNFIT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ERROR_KEYS: Final = ("error", "errors", "error_stack")
_COUNTED: Final = frozenset({Call.UPDATE, Call.RENAME})
_TEMPORARY: Final = frozenset({408, 425, 429})
TOO_LARGE: Final = "HTTP 413: the request is too large"


class _WrongShapeError(ValueError):
    """Not what the documents describe."""


def read_answer(reply: Reply, call: Call, contacts: int) -> Answer:
    """What `reply` says about a request of `call` for `contacts` contacts."""
    if 300 <= reply.status < 400:
        return Fatal("redirected", f"HTTP {reply.status}: the service answers with a redirect, which is never followed")
    if reply.status in _TEMPORARY or (reply.status < 200):
        return NoAnswer(f"HTTP {reply.status}", status=reply.status, retry_after=reply.retry_after)
    try:
        told = _parsed(reply.body)
        errors = _errors(told)
    except _WrongShapeError as error:
        return _without_meaning(reply, str(error))
    fatal = next((text for text in errors if read_text(text).family is Family.FATAL), None)
    if fatal is not None:
        return Fatal(read_text(fatal).code, fatal)
    if reply.status >= 500:
        return Declined(errors) if _all_documented(errors) else _without_meaning(reply, "; ".join(errors))
    if reply.status >= 400:
        return _refusal(reply, errors)
    return _counted(told, errors, contacts) if call in _COUNTED else _plain(told, errors)


def read_created(reply: Reply) -> Answer:
    """What `reply` says about a request for new variables."""
    return read_answer(reply, Call.ADD, 0)


def _all_documented(errors: tuple[str, ...]) -> bool:
    return bool(errors) and all(read_text(text).family is not Family.OTHER for text in errors)


def _refusal(reply: Reply, errors: tuple[str, ...]) -> Answer:
    if reply.status in {401, 403} and not _all_documented(errors):
        return _without_meaning(reply, "; ".join(errors))  # taken for verdicts, such words would reject everybody
    return Declined(errors) if errors else _without_meaning(reply, "")


def _without_meaning(reply: Reply, why: str) -> Answer:
    """No documented content: only the status is left to go by."""
    reason = f"HTTP {reply.status}" + (f": {why[:MAX_TEXT]}" if why else "")
    match reply.status:
        case 401 | 403:
            return Fatal("token-refused", reason)
        case 404 | 405:
            return Fatal("not-the-api", f"{reason}: there is no such API at this address")
        case 413:
            return Declined((TOO_LARGE,))
        case _:
            return NoAnswer(reason, status=reply.status, retry_after=reply.retry_after)


def _plain(told: dict[str, Any], errors: tuple[str, ...]) -> Answer:
    """add, remove, update of one contact, variables: accepted as a whole or not."""
    if "updated" in told:
        return NoAnswer("the answer to another request")
    if errors:
        return Declined(errors)
    return Accepted() if _is_true(told.get("result")) else Declined(())


def _counted(told: dict[str, Any], errors: tuple[str, ...], contacts: int) -> Answer:
    """Batch update: ids of those that succeeded and errors of the others."""
    ids = told.get("updated")
    if ids is None and not errors:
        return Partial(0, ()) if _is_true(told.get("result")) else Declined(())
    if ids is None:
        return Declined(errors)
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        return NoAnswer("`updated` is not a list of ids")
    if not _is_true(told.get("result")):
        return Declined(errors)
    distinct = len(set(ids))
    if distinct == len(ids) == contacts and not errors:
        return Accepted()
    # A repeated id means that the list can't be counted on: more than were asked about never add up.
    return Partial(distinct if distinct == len(ids) else contacts + len(ids), errors)


def _is_true(result: Any) -> bool:
    match result:
        case int():  # a bool is one
            return result == 1
        case str():
            return result in {"true", "1"}
        case _:
            return False


def _errors(told: dict[str, Any]) -> tuple[str, ...]:
    """Texts of every error container, in order, each cut to `MAX_TEXT` and fit to be shown and stored."""
    texts: list[str] = []
    for key in _ERROR_KEYS:
        content = told.get(key)
        if content is None or content == "":
            continue
        if isinstance(content, str):
            content = [content]
        if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
            raise _WrongShapeError(f"`{key}` holds no texts")
        texts += content
    if len(texts) > MAX_ERRORS:
        raise _WrongShapeError(f"{len(texts)} errors in one answer")
    return tuple(_UNFIT.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_TEXT]) for text in texts)


def _parsed(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, top-level keys in lower case. Raises _WrongShapeError for anything else."""
    try:
        told = json.loads(body, object_pairs_hook=_no_repeated_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and integers too long are ValueErrors
        raise _WrongShapeError(_glimpse(body)) from error
    if not isinstance(told, dict):
        raise _WrongShapeError(_glimpse(body))
    lowered = {key.lower(): value for key, value in told.items()}
    if len(lowered) != len(told):
        raise _WrongShapeError("a key stands twice in the answer")
    return lowered


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _WrongShapeError("a key stands twice in the answer")
    return result


def _no_constant(name: str) -> NoReturn:
    raise _WrongShapeError(f"{name} is not JSON")


def _glimpse(body: bytes) -> str:
    text = body[:60].decode("ascii", "replace").replace("\n", " ")
    return f"no JSON object but {text!r}" if body else "an empty body"

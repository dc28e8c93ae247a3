"""What an answer of API v2 says. Total: any bytes give an `Answer`, and nothing here raises.

The documents contradict each other (smartsender.md §1.7), so every spelling is taken: `error_stack` and `Error_stack`,
`errors`, `error`, a text or a list of texts, `result` as true, 1 or "true", errors with any status. What is not a
complete JSON object of the expected shape is no answer, whatever its status: a proxy says 200 too.
"""

from typing import Any, Final

from syncengine.catalogue import Family, read_text
from syncengine.destinations._envelope import MAX_TEXT, WrongShapeError, error_texts, is_true, told_object
from syncengine.destinations._http import Reply
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Partial

_COUNTED: Final = frozenset({Call.UPDATE, Call.RENAME})
_TEMPORARY: Final = frozenset({408, 425, 429})
TOO_LARGE: Final = "HTTP 413: the request is too large"


def read_answer(reply: Reply, call: Call, contacts: int) -> Answer:
    """What `reply` says about a request of `call` for `contacts` contacts."""
    if 300 <= reply.status < 400:
        return Fatal("redirected", f"HTTP {reply.status}: the service answers with a redirect, which is never followed")
    if reply.status in _TEMPORARY or (reply.status < 200):
        return NoAnswer(f"HTTP {reply.status}", status=reply.status, retry_after=reply.retry_after)
    try:
        told = told_object(reply.body)
        errors = error_texts(told)
    except WrongShapeError as error:
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
    return Accepted() if is_true(told.get("result")) else Declined(())


def _counted(told: dict[str, Any], errors: tuple[str, ...], contacts: int) -> Answer:
    """Batch update: ids of those that succeeded and errors of the others."""
    ids = told.get("updated")
    if ids is None and not errors:
        return Partial(0, ()) if is_true(told.get("result")) else Declined(())
    if ids is None:
        return Declined(errors)
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        return NoAnswer("`updated` is not a list of ids")
    if not is_true(told.get("result")):
        return Declined(errors)
    distinct = len(set(ids))
    if distinct == len(ids) == contacts and not errors:
        return Accepted()
    # A repeated id means that the list can't be counted on: more than were asked about never add up.
    return Partial(distinct if distinct == len(ids) else contacts + len(ids), errors)

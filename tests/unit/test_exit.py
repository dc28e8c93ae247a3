"""The last edge: what nobody expected is told to a person, whatever kind of error it was, and no address is in it."""

import json
import sys

import pytest

from syncengine.cli._exit import leave
from syncengine.cli._render import can_ask, is_terminal
from syncengine.errors import RefusedError


class PanicException(BaseException):  # as pyo3 calls it
    """What a panic in Rust looks like in Python."""


PanicException.__module__ = "pyo3_runtime"

MEMORY = [
    MemoryError(),
    RuntimeError("can't start new thread"),
    ExceptionGroup("tasks", [ValueError("x"), ExceptionGroup("more", [MemoryError()])]),
    PanicException("PyObject pointer is null"),
    BaseExceptionGroup("tasks", [PanicException("PyObject pointer is null")]),
]


def ended_by(error: BaseException, *, as_json: bool = False) -> int:
    with pytest.raises(SystemExit) as ended, leave(as_json=as_json):
        raise error
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("error", MEMORY, ids=repr)
def test_a_process_that_has_no_more_memory_says_so(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_by(error) == 1

    told = capsys.readouterr().err
    assert "error[memory]: the memory this process may use ran out" in told
    assert "bug of ours" not in told


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (ValueError("of a@example.com"), "ValueError"),
        (PanicException("of a@example.com"), "PanicException"),
        (BaseExceptionGroup("", [PanicException("of a@example.com"), KeyError("a@example.com")]), "PanicException and"),
    ],
)
def test_what_nobody_expected_is_a_bug_of_ours_and_quotes_no_address(
    error: BaseException, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_by(error, as_json=True) == 1

    streams = capsys.readouterr()
    assert json.loads(streams.out)["error"]["code"] == "internal"
    assert f"error[internal]: {names}" in streams.err
    assert "bug of ours" in streams.err
    assert "a@example.com" not in streams.err + streams.out


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])], ids=repr)
def test_what_is_no_error_is_let_through(error: BaseException) -> None:
    with pytest.raises(type(error)), leave(as_json=False):
        raise error


def test_the_words_of_a_service_quote_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    ended_by(RefusedError("refused", why="HTTP 401: unknown for a@example.com"), as_json=True)

    streams = capsys.readouterr()
    assert "HTTP 401: unknown for <address>" in streams.err
    assert "a@example.com" not in streams.err + streams.out


def test_who_has_closed_the_streams_watches_nothing_and_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdin", None)

    assert (is_terminal(), can_ask()) == (False, False)

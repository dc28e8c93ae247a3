"""How the program ends: the message a person gets, and the exit code of DESIGN.md §7."""

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn, Protocol

import click

from syncengine.cli import _render
from syncengine.cli._render import answer, say
from syncengine.errors import DestinationError, InternalError, InterruptedRunError, SyncEngineError
from syncengine.redaction import hide_addresses
from syncengine.report import EXIT_CODES, Report

SCHEMA_VERSION: Final = 1

_SEVERITY: Final = (0, 3, 5, 7, 2, 6, 4, 8, 1)
"""Exit codes from harmless to grave: what several jobs end with is the gravest."""


def gravest(codes: Sequence[int]) -> int:
    """The exit code of several jobs. A signal's (130, 143) beats all: nothing was left to do its work."""
    signals = [code for code in codes if code >= 128]
    if signals:
        return signals[0]
    return max(codes, key=_SEVERITY.index, default=0)


def exit_code(error: SyncEngineError) -> int:
    """The exit code an error ends the program with."""
    return 128 + error.signal_number if isinstance(error, InterruptedRunError) else error.exit_code


class Ending(Protocol):
    """How one job ended."""

    @property
    def report(self) -> Report | None: ...
    @property
    def problem(self) -> SyncEngineError | None: ...


def code_of(end: Ending) -> int:
    """The exit code of one job."""
    if end.problem is not None:
        return exit_code(end.problem)
    return EXIT_CODES[end.report.result] if end.report is not None else 0


def told(error: SyncEngineError) -> str:
    """An error as a person reads it: what, why with the numbers, a fix to paste, and whether anything was sent."""
    lines = [click.style(f"error[{error.code}]", fg="red", bold=True) + f": {error.what}"]
    for label, text in (("why", _why(error)), ("fix", error.fix)):
        if text:
            first, *others = text.splitlines()
            lines.append(f"  {label:<5}{first}")
            lines += [f"  {'':<5}{line}" for line in others]
    if error.sent:
        lines.append(f"  {error.sent}")
    return "\n".join(lines)


def _why(error: SyncEngineError) -> str:
    """The reason; the words of a service may quote whom it stumbled over."""
    return hide_addresses(error.why) if isinstance(error, DestinationError) else error.why


def as_document(error: SyncEngineError) -> dict[str, Any]:
    """An error as part of a JSON answer."""
    return {"code": error.code, "what": error.what, "why": _why(error), "fix": error.fix, "sent": error.sent}


@contextlib.contextmanager
def leave(*, as_json: bool) -> Iterator[None]:
    """Turn what the block raises into a message and an exit code. With `as_json` stdout gets a document as well."""
    _render.lost.clear()
    try:
        yield
    except click.exceptions.Exit as ended:
        sys.exit(_unless_lost(ended.exit_code))
    except SystemExit as ended:
        sys.exit(_unless_lost(ended.code if isinstance(ended.code, int) else 0))
    except click.Abort:
        stopped = InterruptedRunError("stopped before anything was sent", signal_number=2, sent="nothing was sent")
        _end(stopped, as_json=as_json)
    except click.ClickException as misuse:
        if as_json:
            _print_document({"code": "usage", "what": misuse.format_message(), "why": "", "fix": "", "sent": _NOTHING})
        misuse.show()
        sys.exit(2)
    except SyncEngineError as error:
        _end(error, as_json=as_json)
    except BaseException as error:  # the last edge: a person gets more than a stack trace
        causes = list(_leaves(error))
        if not isinstance(error, Exception) and not any(_is_panic(cause) for cause in causes):
            raise
        say(hide_addresses(traceback.format_exc()))  # an exception's text may quote what it stumbled over
        _end(_unexpected(causes), as_json=as_json)


_NOTHING: Final = "nothing was sent"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The error, or those a group of errors is made of."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _is_panic(error: BaseException) -> bool:
    """Whether Rust gave up. Each extension has a PanicException of its own, which is no Exception."""
    return type(error).__module__ == "pyo3_runtime"


def _ran_out_of_memory(error: BaseException) -> bool:
    """As Python tells it, or a thread that could not be started, or polars when Python could not."""
    signs = ("can't start new thread", "PyObject pointer is null")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


def _unexpected(causes: Sequence[BaseException]) -> InternalError:
    if any(_ran_out_of_memory(cause) for cause in causes):
        return InternalError(
            "the memory this process may use ran out",
            why="planning takes up to 600 MB, however large the file; threads and libraries want room beside it",
            fix="allow it more (ulimit -v, ulimit -d, the limit of the container), and give the same command again",
            code="memory",
            sent="what was confirmed before this is recorded",
        )
    names = " and ".join(dict.fromkeys(type(cause).__name__ for cause in causes))
    return InternalError(
        f"{names}, which nobody here expected",
        why=hide_addresses("; ".join(dict.fromkeys(map(str, causes)))),
        fix="please report it with the lines above; syncengine status shows how far a run came",
        sent="",
    )


def _end(error: SyncEngineError, *, as_json: bool) -> NoReturn:
    say(told(error))
    if as_json:
        _print_document(as_document(error))
    if error.code == InternalError.default_code:
        say("  this is a bug of ours: please report it with the folder of the run")
    sys.exit(exit_code(error))


def _print_document(error: dict[str, Any]) -> None:
    answer(json.dumps({"schema_version": SCHEMA_VERSION, "runs": [], "error": error}))


def _unless_lost(code: int) -> int:
    """`code`, or 1 where all went well but the answer could not be written."""
    if not _render.lost:
        return code
    say(f"error[answer-lost]: the answer could not be written: {_render.lost[0]}")
    return code or 1

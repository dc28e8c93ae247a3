"""What people read: plans, summaries and tables. Addresses are masked unless asked for."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

import click

from syncengine.leaving import told_left
from syncengine.model import Op

# The colours that are ours are let through, others not: a cell could hide in black, or behind `\x1b[8m`.
_CONTROL = re.compile(
    r"(?!\x1b\[(?:[01]|[39][1-7])m)[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_SIGNS = {Op.ADD: "+", Op.UPDATE: "~", Op.RENAME: ">", Op.UNSUBSCRIBE: "-", Op.REMOVE: "x"}
_WORDS = {
    Op.ADD: ("to add", "added"),
    Op.UPDATE: ("to update", "updated"),
    Op.RENAME: ("to rename", "renamed"),
    Op.UNSUBSCRIBE: ("to unsubscribe", "unsubscribed"),
    Op.REMOVE: ("to remove", "removed"),
}


def say(text: str = "") -> None:
    """Talk: to stderr."""
    _print(text, err=True)


def answer(text: str = "") -> None:
    """What was asked for: to stdout."""
    _print(text, err=False)


def _print(text: str, *, err: bool) -> None:
    """Work does not end because nobody listens (`| head`), or because the answer finds no room (`> /dev/full`)."""
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(harmless(text), err=err, color=False if is_plain() else None)
    except BrokenPipeError:
        _send_to_nobody(stream)
    except OSError as error:
        _send_to_nobody(stream)
        lost.append(str(error))


lost: Final[list[str]] = []  #: why output could not be written; `leave` tells it at the end


def _send_to_nobody(stream: IO[str]) -> None:
    """Let `stream` go on without its reader, what it still holds in its buffer included."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, stream.fileno())
    os.close(nobody)


def is_plain() -> bool:
    """Whether colours are not wanted (https://no-color.org), or not understood."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def harmless(text: str) -> str:
    """`text` without control characters besides line ends, tabs and our own colours: what stands in a file must not
    speak to the terminal.
    """
    return _CONTROL.sub("\ufffd", text)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Columns side by side, on stdout. Off a terminal nothing is wrapped or cut."""
    from rich.console import Console  # noqa: PLC0415  # 0.1 s, and most verbs print no table
    from rich.table import Table  # noqa: PLC0415

    layout = Table(box=None, pad_edge=False, header_style="bold")
    for column, head in enumerate(heads):
        layout.add_column(head, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        layout.add_row(*(harmless(cell) for cell in row))
    console = Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else 400)
    with console.capture() as printed:
        console.print(layout, crop=False)
    answer("\n".join(line.rstrip() for line in printed.get().splitlines()))


def plan_lines(view: Mapping[str, Any]) -> list[str]:
    """A plan for people. `view` is what `bootstrap.view_plan` gives."""
    lines = [f"{view['job']} -> list {view['list']}", ""]
    lines.append(f"Source   {view['source']}   {view['rows']:,} rows · {view['columns']} columns")
    if view["facts"]:
        lines.append(f"         {' · '.join(view['facts'])}")
    lines.append(f"State    {view['known']:,} contacts{view['synced']}")
    if view["left"]:
        lines.append(f"         {view['left']}")
    lines += [f"         ! {warning}" for warning in view["warnings"]]
    if view["why"]:
        lines += ["", *view["why"]]
    if view["variables"]:
        lines += ["", "Variables"]
        lines += [f"  + {name:<24} {kind:<7} {evidence}".rstrip() for name, kind, evidence in view["variables"]]
    lines += ["", "Contacts"]
    lines += [
        f"  {_SIGNS[op]} {op.value:<12}{count:>10,}{_detail(op, view)}"
        for op, count in view["planned"].items()
        if count
    ]
    lines.append(f"  = {'same':<12}{view['same']:>10,}")
    if view["held"]:
        reasons = " · ".join(f"{count:,} {code}" for code, count in sorted(view["held"].items(), key=lambda i: -i[1]))
        lines.append(f"  ! {'held':<12}{sum(view['held'].values()):>10,}   {reasons}")
    if view["samples"]:
        lines += ["", *(f"  {line}" for line in view["samples"])]
        if view["differences"]:
            lines.append(f"    all of them: {view['differences']}")
    if view["requests"]:
        requests = f"{view['requests']:,} {plural('request', view['requests'])}"
        lines += ["", f"Cost     {requests} ≈ {duration(view['estimate'])} at {view['rate']:g} a second"]
    return lines


def _detail(op: Op, view: Mapping[str, Any]) -> str:
    if op is not Op.UPDATE or not view["fields"]:
        return ""
    fields = list(view["fields"].items())
    shown = " · ".join(f"{name} {count:,}" for name, count in fields[:3])
    return f"   {shown}" + (f" · {len(fields) - 3} more" if len(fields) > 3 else "")


def plan_sentence(planned: Mapping[Op, int], variables: int) -> str:
    """`Plan: 2 variables to create, 9,214 to add.`"""
    parts = [f"{count:,} {_WORDS[op][0]}" for op, count in planned.items() if count]
    if variables:
        parts.insert(0, f"{variables} {plural('variable', variables)} to create")
    return f"Plan: {', '.join(parts)}." if parts else "Plan: nothing to do."


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """What a run did."""
    took = duration(report["seconds"])
    done = {
        "ok": f"Done in {took}",
        "rejected": f"Done in {took}, but some contacts were not confirmed",
        "guard": "Stopped by a guard before anything was sent",
        "interrupted": f"Stopped after {took}; what was confirmed is recorded",
        "unavailable": f"Stopped after {took}: the service is not available",
        "refused": f"Stopped after {took}: the service refuses every request",
        "failed": f"Failed after {took}",
    }[report["result"]]
    lines = [f"{report['job']}: {done} · run {report['run'][:13]}", ""]
    if report["variables_created"]:
        lines.append(f"  variables created: {', '.join(report['variables_created'])}")
    confirmed = [f"{count:,} {_WORDS[Op(op)][1]}" for op, count in report["confirmed"].items() if count]
    unchanged = f"{report['same']:,} unchanged"
    lines.append(f"  {' · '.join([*confirmed, unchanged])}")
    if left := told_left(report["left"]):
        corrected = f"; {report['corrected']:,} corrected while they were being sent" if report["corrected"] else ""
        lines.append(f"  {left}{corrected}")
    short = report["run"][:13]
    for count, words, flag in (
        (report["rejected"], "rejected by the service", ""),
        (report["unresolved"], "unresolved: no answer tells what became of them", ""),
        (report["held"], "held before sending", " --held"),
    ):
        if count:
            lines.append(f"  {count:,} {words}   ->  syncengine errors {short}{flag}")
    if skipped := [f"{count:,} {_WORDS[Op(op)][0]}" for op, count in report["skipped"].items()]:
        lines.append(f"  skipped because of the error: {', '.join(skipped)}, who left the source")
    if report["spared"]:
        lines.append(f"  {report['spared']}")
    if report["pending"] and report["result"] != "guard":
        lines.append(f"  {report['pending']:,} pending   ->  the same command goes on with them")
    requests, retries = report["requests"], report["retries"]
    counted = f"{requests:,} {plural('request', requests)} ({retries:,} {'retry' if retries == 1 else 'retries'})"
    lines.append(f"  {counted} · {report['paths']['run']}")
    return lines


def duration(seconds: float) -> str:
    """1.4 s, 3 min, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plural(word: str, number: int) -> str:
    """variable, variables."""
    return word if number == 1 else f"{word}s"


def ago(seconds: float) -> str:
    """2 h ago."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def is_terminal(stream: IO[str] | None = None) -> bool:
    """Whether a person watches: a terminal, and no CI."""
    watched = stream or sys.stderr
    return watched is not None and watched.isatty() and not os.environ.get("CI")  # None: it was closed (2>&-)


def can_ask() -> bool:
    """Whether a person is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty()

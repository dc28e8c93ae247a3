"""`demo`: the whole loop, without an account or a config."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from syncengine.cli._exit import code_of, gravest, told
from syncengine.cli._progress import progress
from syncengine.cli._render import answer, plan_lines, plan_sentence, say, summary_lines
from syncengine.events import Event


@click.command("demo")
@click.option("--folder", type=click.Path(file_okay=False), default=".", help="Where to put syncengine-demo/.")
def command(folder: str) -> int:
    """Plan, sync, sync again, edit the file and sync once more: on sample data, against a stand-in API on this machine.

    It leaves a folder syncengine-demo/ with the file, its config and the state. Running it again starts over.
    """
    from syncengine.demonstration import run_demo  # noqa: PLC0415  # polars, httpx and uvicorn are imported here

    demo = run_demo(_Stage(), Path(folder).absolute())
    last = demo.ends[-1]
    program = _program()
    answer()
    answer("That was the whole loop. Look around:")
    answer(f"  cd {demo.folder}")
    if last.report is not None and last.report.held:
        answer(f"  {program} errors          who was held back, and why")
    answer(f"  {program} status")
    answer(f"Your own file next:  {program} inspect contacts.csv    then: {program} init contacts.csv")
    return gravest([code_of(end) for end in demo.ends])


def _program() -> str:
    """How to call this program from another folder."""
    if shutil.which("syncengine"):
        return "syncengine"
    called = Path(sys.argv[0]).absolute()
    return str(called) if called.name == "syncengine" else f"{sys.executable} -m syncengine"


class _Stage:
    """Tells the story on the terminal (a `demonstration.Stage`, and its own `Screen`)."""

    def __init__(self) -> None:
        self._step = 0
        self._progress = progress()

    def opened(self, url: str, folder: Path) -> None:
        say(f"A stand-in for the SmartSender API listens at {url}; it fails now and then on purpose.")
        say(f"Sample contacts: {folder / 'contacts.csv'}")

    def step(self, title: str) -> None:
        self._step += 1
        answer()
        answer(click.style(f"{self._step}/4 {title}", bold=True))

    def planned(self, view: dict[str, Any]) -> None:
        for line in plan_lines(view):
            answer(f"  {line}".rstrip())
        answer(f"  {plan_sentence(view['planned'], len(view['variables']))}")

    def screen(self) -> "_Stage":
        self._progress = progress()
        return self

    def approve(self, view: Any) -> bool:
        if self._step > 2:
            answer(f"  {plan_sentence(view['planned'], len(view['variables']))}")
            for line in view["samples"]:
                answer(f"  {line}")
        return True

    def observe(self, event: Event) -> None:
        self._progress(event)

    def stopping(self, reason: str) -> None:
        say(f"{reason}: stopping …")

    def ended(self, end: Any) -> None:
        self._progress.close()
        if end.report is not None:
            for line in summary_lines(end.report.to_json()):
                answer(f"  {line}".rstrip())
        if end.problem is not None:
            say(told(end.problem))

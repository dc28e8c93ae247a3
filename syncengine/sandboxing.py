"""The sandbox as the command line serves it, and the demo that runs against one."""

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

import anyio

from syncengine.sandbox.account import DEFAULT_KEY, DEFAULT_LIST, DEFAULT_TOKEN
from syncengine.sandbox.behaviour import Behaviour
from syncengine.sandbox.faults import Fault, Html, Status, When
from syncengine.sandbox.hooks import Hooks
from syncengine.sandbox.instance import DEFAULT_INSTANCE_KEY
from syncengine.sandbox.sandbox import Sandbox
from syncengine.sandbox.scenarios import described
from syncengine.sandbox.serve import running
from syncengine.sandbox.serve import serve as serve_sandbox

SAMPLE_FILES = ("contacts.csv", "syncengine.toml")


def scenarios() -> list[tuple[str, str]]:
    """Every scenario's name and what it is."""
    return described()


def serve(
    *,
    port: int,
    scenario: str,
    rate: float | None,
    list_ids: Sequence[str],
    tokens: Sequence[str],
    hooks: Mapping[str, object],
    ready: Callable[[str, str], None],
) -> None:
    """Serve until interrupted; `hooks` are settings of the sandbox's webhooks. `ready` gets the URL and a config.

    Raises ValueError for a scenario or setting that can't be, OSError for a port that can't be had.
    """
    sandbox = Sandbox(tokens=tokens, hooks=Hooks().changed(hooks))
    sandbox.play(scenario, {} if rate is None else {"rate": rate})
    for list_id in list_ids:
        sandbox.create_list(list_id, list_id)
    with contextlib.suppress(KeyboardInterrupt):
        anyio.run(functools.partial(serve_sandbox, sandbox, port=port, ready=lambda url: ready(url, config_for(url))))


def config_for(url: str) -> str:
    """A config with which every command works against the sandbox at `url`, beside a copy of the sample contacts."""
    return f"""\
[account]
url = "{url}"
token = "{DEFAULT_TOKEN}"
send_url = "{url}"
key = "{DEFAULT_KEY}"
rate = 500

[smartersends]
url = "{url}/smartersends"
key = "{DEFAULT_INSTANCE_KEY}"

[[job]]
name = "newsletter"
list = "{DEFAULT_LIST}"
source = "contacts.csv"
consent = "source"

[job.columns]
email = "Email"
name = "Full name"
active = "Subscribed"
"""


def copy_samples(folder: Path) -> None:
    """The sample file and its config into `folder`."""
    for name in SAMPLE_FILES:
        shutil.copyfile(_samples() / name, folder / name)


@contextlib.contextmanager
def demo_sandbox(rate: float) -> Iterator[str]:
    """A sandbox on a free loopback port that takes `rate` requests a second and fails three times: it is overloaded
    once, asks for a pause, and answers with a web page although it has stored the contacts.
    """
    mishaps = (
        Fault(what=Status(503), nth=3),
        Fault(what=Html(), when=When.AFTER_APPLY, nth=5),
        Fault(what=Status(429, retry_after="1"), nth=8),
    )
    with running(Sandbox(Behaviour(rate=rate), mishaps)) as url:
        yield url


def _samples() -> Path:
    """Where the samples are: in the installed package, or at the top of a checkout."""
    packaged = Path(str(resources.files("syncengine"))) / "sample_data"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "sample_data"

"""From the config to clients of the services it names; their secrets are looked at when they are needed."""

import functools
import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

from syncengine.bootstrap import Workshop
from syncengine.client.smartsender import SmartSender
from syncengine.destinations._http import MAX_RETRY_AFTER
from syncengine.destinations._slots import shared_slots
from syncengine.errors import ConfigError, InterruptedRunError
from syncengine.redaction import Secret
from syncengine.smartersends.client import SmarterSends

Service = TypeVar("Service", SmartSender, SmarterSends)
T = TypeVar("T")

_ONLY_READ: Final = "nothing was changed: it was only asked"
_PERHAPS: Final = "the request left, and may have been carried out: look before doing it again"


def talk(service: Service, work: Callable[[Service], Awaitable[T]], *, changes: bool) -> T:
    """What `work` gives; the service is closed afterwards. `changes`: its requests do more than read.

    Raises InterruptedRunError on Ctrl-C, which says what may have been carried out.
    """

    async def run() -> T:
        async with service:
            return await work(service)

    try:
        return anyio.run(run)
    except KeyboardInterrupt:
        left = _PERHAPS if changes else _ONLY_READ
        raise InterruptedRunError(
            "stopped by Ctrl-C", signal_number=signal.SIGINT, sent=left if service.requests else "nothing was sent"
        ) from None


def connect_smartsender(workshop: Workshop, *, sending: bool) -> SmartSender:
    """A client of the account: for lists and triggered mail, or for the sending group. Raises ConfigError.

    It shares the account's rate with a sync that runs, and with whatever else works on the same state.
    """
    account = workshop.loaded.config.account
    client = functools.partial(
        SmartSender,
        url=account.url,
        send_url=account.send_url,
        rate=workshop.overrides.rate or account.rate,
        slots=shared_slots(workshop.state_folder, longest=MAX_RETRY_AFTER),
        timeout=account.timeout,
        proxy=account.proxy,
    )
    if not sending:
        return client(token=workshop.token())
    key = _secret(workshop, "account", "key", "SMARTSENDER_KEY", account.key)
    written = account.secret
    if written is None and "account.secret" not in workshop.loaded.problems:
        return client(token=workshop.token(), key=key)
    secret = _secret(workshop, "account", "secret", "SMARTSENDER_SECRET", written)
    return client(key=key, secret=secret)


def connect_smartersends(workshop: Workshop) -> SmarterSends:
    """A client of the instance in [smartersends]. Raises ConfigError."""
    instance = workshop.loaded.config.smartersends
    if instance.url is None:
        raise ConfigError(
            "no instance of SmarterSends",
            why=f"[smartersends] url is not set in {workshop.loaded.path.name}",
            fix='url = "https://YOUR-INSTANCE.smartersends.com" and key = "${SMARTERSENDS_KEY}" in [smartersends]',
            code="instance-missing",
        )
    return SmarterSends(
        url=instance.url,
        key=_secret(workshop, "smartersends", "key", "SMARTERSENDS_KEY", instance.key),
        rate=instance.rate,
        timeout=instance.timeout,
        proxy=instance.proxy,
    )


def _secret(workshop: Workshop, section: str, name: str, variable: str, value: str | None) -> Secret:
    """A secret of the config, checked for its shape."""
    problem = workshop.loaded.problems.get(f"{section}.{name}")
    if problem is not None:
        raise problem
    if not value:
        raise ConfigError(
            f"no {name}",
            why=f"[{section}] {name} is not set in {workshop.loaded.path.name}",
            fix=f'{name} = "${{{variable}}}" in [{section}], and: export {variable}=…',
            code=f"{name}-missing",
        )
    secret = Secret(value)
    if not secret.looks_valid():
        raise ConfigError(
            f"the {name} of [{section}] can't be one",
            why="it is 8 to 512 visible ASCII characters without blanks; this one is not (it is not shown)",
            fix="copy it again",
            code=f"{name}-shape",
        )
    return secret

"""uvicorn, with what an open port on the internet needs besides: deadlines for heads, and a cap on connections.

uvicorn gives a client that has connected all the time in the world to send the head of a request.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 2.0  #: what requests in flight get to finish when the server stops


class Door:
    """How many may be connected at once, and how long they may take to say what they want."""

    def __init__(self, *, most: int, head_seconds: float = HEAD_SECONDS) -> None:
        self.most = most
        self.head_seconds = head_seconds
        self.evicted = 0
        self.open: dict[GuardedProtocol, None] = {}  # oldest first

    def enter(self, protocol: "GuardedProtocol") -> None:
        """One more. Beyond the cap the oldest that has not said what it wants makes room: those who mean it are done
        within milliseconds, and cannot be kept out by others who only hold their connections open.
        """
        self.open[protocol] = None
        if len(self.open) > self.most:
            silent = (one for one in self.open if not one.is_heard)
            self.evict(next(silent, protocol))

    def evict(self, protocol: "GuardedProtocol") -> None:
        """Close a connection without a word."""
        self.evicted += 1
        self.open.pop(protocol, None)
        protocol.transport.abort()


class GuardedProtocol(H11Protocol):
    """One connection. `door` is set by `protocol_behind`."""

    door: Door

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_heard(self) -> bool:
        """Whether a whole request has arrived."""
        return self._has_begun() and not self.cycle.more_body

    def _has_begun(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn calls it one even while there is none
        return cycle is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.door.head_seconds, self._too_slow)
        self.door.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.door.open.pop(self, None)
        super().connection_lost(exc)

    def _too_slow(self) -> None:
        if not self._has_begun():  # a head arrived otherwise, and the body has a deadline of its own
            self.door.evict(self)


def protocol_behind(door: Door) -> type[GuardedProtocol]:
    """The protocol class for uvicorn: it makes the connections by itself, and gives them nothing of ours."""
    return type("GuardedProtocolBehindADoor", (GuardedProtocol,), {"door": door})


async def serve(app: ASGIApp, *, host: str, port: int, door: Door, ready: Callable[[str], None]) -> None:
    """Serve until cancelled. Port 0 is any free one; `ready` gets the base URL once connections are accepted.

    Raises OSError when the port cannot be had. Signals are left to the caller.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=512)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    server = _Server(app, door, on_listening=lambda: ready(url))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            await serving


class _Server(uvicorn.Server):
    """uvicorn without its logs (they hold the path) and its signal handlers, which says when it listens."""

    def __init__(self, app: ASGIApp, door: Door, *, on_listening: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                http=protocol_behind(door),
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=int(GRACE_SECONDS),
            )
        )
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

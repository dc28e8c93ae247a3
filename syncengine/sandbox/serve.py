"""A sandbox on a real loopback port, by uvicorn."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial

import anyio
import uvicorn
from anyio.abc import TaskStatus
from anyio.from_thread import start_blocking_portal
from starlette.types import Scope

from syncengine.sandbox.sandbox import Sandbox

_LEAVE_SECONDS = 0.5  #: what requests in flight get to finish when the server stops


async def serve(
    sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0, ready: Callable[[str], None] | None = None
) -> None:
    """Serves until cancelled, then closes its connections and lets the cancellation through.

    Port 0 is any free one. `ready` gets the base URL, like `http://127.0.0.1:40613`, once connections are accepted.
    Signals are left to the caller. Raises OSError when the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    server = _Server(sandbox, on_listening=(lambda: ready(url)) if ready else lambda: None)
    sandbox.epoch = time.time() - sandbox.clock()
    sandbox.hang_up = partial(_hang_up, server)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            await serving
        sandbox.hang_up = None


@contextlib.contextmanager
def running(sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serves from a daemon thread for as long as the block lasts; gives the base URL.

    Raises OSError when the port cannot be had.
    """
    with start_blocking_portal(name="sandbox") as portal:
        serving, url = portal.start_task(partial(_serve_and_tell, sandbox, host, port))
        try:
            yield url
        finally:
            serving.cancel()


async def _serve_and_tell(sandbox: Sandbox, host: str, port: int, *, task_status: TaskStatus[str]) -> None:
    await serve(sandbox, host=host, port=port, ready=task_status.started)


class _Server(uvicorn.Server):
    """uvicorn without its logs, its signal handlers and its headers, which says when it listens."""

    def __init__(self, sandbox: Sandbox, *, on_listening: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                sandbox.app,
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="error",  # which would be a bug of the sandbox
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,  # the sandbox has a clock of its own
                timeout_keep_alive=75,  # as nginx does; uvicorn's own 5 s meet clients that wait before a retry
            )
        )
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.get_running_loop().call_later(_LEAVE_SECONDS, self._close_connections)
        await super().shutdown(sockets)
        closing.cancel()

    def _close_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _hang_up(server: uvicorn.Server, scope: Scope) -> bool:
    """Closes the connection a request came by, after what was written to it."""
    for connection in server.server_state.connections:
        if getattr(connection, "client", None) == scope["client"]:
            connection.transport.close()
            return True
    return False

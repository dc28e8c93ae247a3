"""A server that speaks raw bytes: whatever a network can do to an answer, on a real loopback port."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_RESET = struct.pack("ii", 1, 0)  #: SO_LINGER: closing sends a reset at once


def http(body: bytes = b'{"result":true}', status: str = "200 OK", **headers: str) -> bytes:
    """An answer in bytes, with its Content-Length unless `headers` have another; `_` in a name is `-`."""
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class Line:
    """One connection, from the server's end. What the other side has closed raises OSError."""

    number: int  #: from 0, in the order they came
    server: "RawServer"
    connection: socket.socket
    _left: bytes = b""

    def read_head(self) -> bytes:
        """The next request up to its blank line; b"" if there is none any more."""
        while b"\r\n\r\n" not in self._left:
            if not (more := self.connection.recv(65_536)):
                return b""
            self._left += more
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        return head

    def read(self) -> bytes:
        """The next request, whole; b"" if there is none any more. It is noted in `server.requests`."""
        head = self.read_head()
        size = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(self._left) < size:
            if not (more := self.connection.recv(65_536)):
                return b""
            self._left += more
        body, self._left = self._left[:size], self._left[size:]
        if head:
            self.server.requests.append(head + b"\r\n\r\n" + body)
        return head and head + b"\r\n\r\n" + body

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def drip(self, content: bytes, seconds: float) -> None:
        """A byte each `seconds`, until the server is closed."""
        for byte in content:
            self.send(bytes([byte]))
            if self.server.closed.wait(seconds):
                return

    def reset(self) -> None:
        """The connection is gone, and what is on its way with it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()

    def hold(self) -> None:
        """Neither read nor write until the server is closed."""
        self.server.closed.wait()


Script = Callable[[Line], None]
"""What happens on a connection; it is closed afterwards."""


@dataclass(slots=True)
class RawServer:
    """Runs `script` for each connection, in a thread of its own.

    requests      whole requests, as read by `Line.read`
    connections   how many came, TLS handshake or not
    """

    script: Script
    context: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    handshakes: int = 0
    port: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, listener: socket.socket) -> None:
        threads = []
        with contextlib.suppress(OSError):  # the listener is closed under us: that is the end
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._talk, args=(connection, self.connections - 1), daemon=True)
                thread.start()
                threads.append(thread)
        for connection in self._open:
            with contextlib.suppress(OSError):  # it may be closed by now
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
        for thread in threads:
            thread.join(5.0)

    def _talk(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):  # the client left, or a handshake failed: what it saw is its own test
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
                self.handshakes += 1
            with connection:
                self.script(Line(number, self, connection))


@contextlib.contextmanager
def raw_server(script: Script, *, context: ssl.SSLContext | None = None, port: int = 0) -> Iterator[RawServer]:
    """A server on a free loopback port (or `port`) for as long as the block lasts."""
    server = RawServer(script, context)
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        server.port = listener.getsockname()[1]
        accepting = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            server.closed.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            accepting.join(10.0)


def answering(content: bytes, *more: bytes) -> Script:
    """Every request gets `content`; the first ones of each connection `more` after it, in turn."""

    def script(line: Line) -> None:
        answers = [content, *more]
        while line.read():
            line.send(answers.pop(0) if len(answers) > 1 else answers[0])

    return script


def header(request: bytes, name: str) -> str | None:
    """A header of a request as read by `Line.read`."""
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    headers: Mapping[str, str] = {
        key.strip().lower(): value.strip() for key, _, value in (one.partition(":") for one in lines)
    }
    return headers.get(name.lower())

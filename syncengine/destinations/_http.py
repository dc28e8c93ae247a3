"""The only place that speaks HTTP. What leaves here is a `Reply` to be read, or the reason why there is none.

Rules (DESIGN.md §2.10, §5)
 - a total deadline for every attempt: httpx counts its timeouts per socket operation, so that a slow drip of
   bytes never ends (measured: 9.3 s under `timeout=1.0`);
 - redirects are never followed: httpx would carry the `access-token` header to another host;
 - no proxy or .netrc from the environment, unless a proxy is asked for;
 - bodies are capped after decompression: 522 kB of gzip make 512 MiB;
 - only a failure to connect means "not sent". Whatever happens later, our own deadline included, is unknown;
 - a connection is used again only after a complete answer with nothing behind it: a second answer glued to the first
   would be taken for that to the next request (measured).
"""

import email.utils
import functools
import re
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import anyio
import httpx

from syncengine.destinations._line import Asked, Line
from syncengine.destinations._pacing import Pacer
from syncengine.destinations._plain import Plain
from syncengine.model import Fatal, NoAnswer
from syncengine.redaction import Secret, scrub, scrub_bytes

MAX_BODY: Final = 8 * 1024 * 1024  #: bytes of an answer, decompressed
ANSWER_TOO_LARGE: Final = "the answer is larger than"  #: the beginning of the reason
MAX_RETRY_AFTER: Final = 300.0  #: seconds; a longer wish is cut to this, asked again and obeyed again
CONNECT_TIMEOUT: Final = 10.0  #: seconds
MAX_ASKED: Final = 100  #: requests whose heads are kept

_NO_COMMON_TLS: Final = frozenset(
    {
        "HTTP_REQUEST",
        "NO_PROTOCOLS_AVAILABLE",
        "RECORD_LAYER_FAILURE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)
"""What OpenSSL says where the other side speaks an older TLS, or none."""

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer as it came: `body` is decompressed and within the cap."""

    status: int
    body: bytes
    retry_after: float | None = None  #: seconds


Transport = Callable[[], httpx.AsyncBaseTransport]
Leaving = Callable[[], None]
Credential = Callable[[str], Mapping[str, str]]
"""The header a token is shown in; an empty one where it stands in the body of requests."""


def access_token(token: str) -> Mapping[str, str]:
    """SmartSender's partner group (smartsender.md §1.1)."""
    return {"access-token": token}


def bearer(token: str) -> Mapping[str, str]:
    """RFC 6750 §2.1."""
    return {"authorization": f"Bearer {token}"}


def in_body(token: str) -> Mapping[str, str]:  # noqa: ARG001  # it is shown in no header
    """SmartSender's sending group."""
    return {}


class Door:
    """Speaks JSON with one host, paced. Safe for many tasks at once; close it with `aclose`.

    token       goes to this host only, as `credential` says, and is scrubbed from whatever comes back
    secrets     further texts to be scrubbed

    Each request in flight has a connection of its own, which is an httpx transport: ours (`_line`), or httpx's own
    where there is a proxy. Httpx's pool is quadratic in its connections (measured at 64 connections and 100 ms: 53
    requests/s of 640).
    """

    def __init__(
        self,
        base_url: str,
        token: Secret,
        pacer: Pacer,
        *,
        timeout: float,
        connect_timeout: float = CONNECT_TIMEOUT,
        proxy: str | None = None,
        transport: Transport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        credential: Credential = access_token,
        secrets: tuple[Secret, ...] = (),
        max_body: int = MAX_BODY,
    ) -> None:
        self._max_body = max_body
        self._secrets = (token, *secrets)
        self._base_url = base_url.rstrip("/")
        self._pacer = pacer
        self._timeout = timeout
        self._timeouts = httpx.Timeout(timeout, connect=min(connect_timeout, timeout)).as_dict()
        self._proxy = proxy
        self._transport = transport
        self._now = now
        self._asked: dict[tuple[str, str], Asked] = {}  # making one costs as much as sending it
        self._headers = httpx.Headers(
            {
                "content-type": "application/json",
                "accept": "application/json",
                "accept-encoding": "identity",
                **credential(token.reveal()),
            }
        )
        self._idle: list[httpx.AsyncBaseTransport] = []
        self._context: ssl.SSLContext | None = None
        self.requests = 0  #: attempts that left, or tried to

    async def post(self, path: str, body: str | bytes, *, leaving: Leaving | None = None) -> Reply | NoAnswer | Fatal:
        """`request`, as nearly all of API v2 wants it."""
        return await self.request("POST", path, body, leaving=leaving)

    async def request(
        self, method: str, path: str, body: str | bytes | None = None, *, leaving: Leaving | None = None
    ) -> Reply | NoAnswer | Fatal:
        """One attempt: waits for its turn, then has `timeout` seconds in total. Fatal: the host is not who it says.

        `leaving` is called when its turn has come, before the first byte.
        """
        await self._pacer.acquire()
        self.requests += 1
        line = self._idle.pop() if self._idle else self._new_line()
        outcome: Reply | NoAnswer | Fatal | None = None
        try:
            outcome = await self._attempt(line, (method, path, body), leaving)
        finally:
            if isinstance(outcome, Reply):
                self._idle.append(line)
            else:  # a connection that did not end in order is not used again, our own cancellation included
                with anyio.CancelScope(shield=True):
                    await line.aclose()
        if isinstance(outcome, Reply) and outcome.status in {429, 503} and outcome.retry_after is not None:
            self._pacer.hold(outcome.retry_after)
        return outcome

    async def _attempt(
        self, line: httpx.AsyncBaseTransport, what: tuple[str, str, str | bytes | None], leaving: Leaving | None
    ) -> Reply | NoAnswer | Fatal:
        method, path, body = what
        content = body.encode() if isinstance(body, str) else body
        try:
            if isinstance(line, Line):
                return await self._by_line(line, self._asked_for(method, path), content, leaving)
            request = self._request(method, path, content)
            if leaving is not None:
                leaving()
            with anyio.fail_after(self._timeout):
                return await self._heard(await line.handle_async_request(request))
        except TimeoutError:
            return NoAnswer(f"no complete answer within {self._timeout:g} s")
        except NOT_SENT as error:
            told = scrub(_told(error), *self._secrets)
            return Fatal("tls", told) if is_untrusted(error) else NoAnswer(told, sent=False)
        except (httpx.HTTPError, httpx.InvalidURL, zlib.error, OSError) as error:
            return NoAnswer(scrub(_told(error), *self._secrets))

    async def aclose(self) -> None:
        """Close all connections."""
        while self._idle:
            await self._idle.pop().aclose()

    async def _by_line(
        self, line: Line, asked: Asked, content: bytes | None, leaving: Leaving | None
    ) -> Reply | NoAnswer:
        took = 0.0
        if not line.stands:
            began = anyio.current_time()
            await line.connect(asked.request)  # has a timeout of its own, within that of the attempt
            took = anyio.current_time() - began
            await self._pacer.late(took)
        if leaving is not None:
            leaving()
        deadline = anyio.current_time() + self._timeout - took
        answer = await line.exchange(asked, content, deadline=deadline)
        if isinstance(answer, Plain):
            return self._reply(answer.status, answer.body, _text(answer.retry_after), _text(answer.date))
        with anyio.fail_after(deadline - anyio.current_time()):
            return await self._heard(answer)

    async def _heard(self, response: httpx.Response) -> Reply | NoAnswer:
        content = await _read_capped(response, self._max_body)
        headers = response.headers
        return self._reply(response.status_code, content, headers.get("retry-after"), headers.get("date"))

    def _reply(self, status: int, content: bytes | None, after: str | None, date: str | None) -> Reply | NoAnswer:
        """A whole answer; no `content`: it was too large to be taken."""
        if content is None or len(content) > self._max_body:
            return NoAnswer(f"{ANSWER_TOO_LARGE} {self._max_body // 1024**2} MiB", status=status)
        wait = None if after is None else _retry_after(after, _date(date) or self._now())
        for secret in self._secrets:
            content = scrub_bytes(content, secret)
        return Reply(status, content, wait)

    def _asked_for(self, method: str, path: str) -> Asked:
        asked = self._asked.get((method, path))
        if asked is None:
            asked = Asked.of(self._request(method, path, None))
            if len(self._asked) < MAX_ASKED:
                self._asked[method, path] = asked
        return asked

    def _request(self, method: str, path: str, content: bytes | None) -> httpx.Request:
        url, timeouts = httpx.URL(self._base_url + path), {"timeout": self._timeouts}
        return httpx.Request(method, url, headers=self._headers, content=content, extensions=timeouts)

    def _new_line(self) -> httpx.AsyncBaseTransport:
        if self._transport is not None:
            return self._transport()
        if self._context is None and (self._proxy or self._base_url.startswith("https:")):
            self._context = tls_context()  # one for all lines: loading the roots takes 20 ms
        if self._proxy is None:
            return Line(self._context)
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        return httpx.AsyncHTTPTransport(verify=self._context or True, proxy=self._proxy, limits=one, trust_env=False)


async def _read_capped(response: httpx.Response, most: int) -> bytes | None:
    """The body, or None beyond the cap. Inflated by us, piece by piece: httpx would inflate first and count later."""
    inflate = inflater(response.headers.get("content-encoding", "identity"))
    parts: list[bytes] = []
    size = 0
    async for raw in response.aiter_raw():
        part = inflate.decompress(raw, most + 1 - size) if inflate else raw
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    if inflate and not inflate.eof:
        raise httpx.DecodingError("the compressed answer is cut off")
    return b"".join(parts)


def inflater(encoding: str) -> "zlib._Decompress | None":
    """What undoes a content-encoding; None where there is nothing to undo. Raises httpx.DecodingError."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(wbits=31)
        case "deflate":
            return zlib.decompressobj()
        case other:
            raise httpx.DecodingError(f"content-encoding {other!r} was not asked for")


def _retry_after(value: str, now: datetime) -> float | None:
    """Seconds the service asks us to wait, within 0 and `MAX_RETRY_AFTER`; None if it asks nothing we can read.

    Seconds or an HTTP date (RFC 9110 §10.2.3). A date is measured against the answer's own `Date`: our clock may
    be wrong.
    """
    text = value.strip()
    if re.fullmatch(r"\d{1,20}(\.\d+)?", text):
        return min(float(text), MAX_RETRY_AFTER)
    date = _date(text)
    return None if date is None else min(max((date - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def is_untrusted(error: BaseException | None) -> bool:
    """Whether a connection failed because of who answered: trying again will not make it someone else."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        if isinstance(error, ssl.SSLError) and error.reason in _NO_COMMON_TLS:
            return True
        error = error.__cause__ or error.__context__
    return False


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The system's roots, TLS 1.2 or later. Not ssl's own default context: that honours SSLKEYLOGFILE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # wants a certificate, of the name asked for
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context

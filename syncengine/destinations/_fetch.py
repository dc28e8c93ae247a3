"""A file from another host, by the signed address a service gave: streamed, without any credential of ours.

The address is the secret here: whoever has it has the file, so it stands in no error. Rules of `_http` that hold here
too: redirects are not followed, nothing is taken from the environment, an answer is complete or an error, what is
inflated is counted. There is no deadline for the whole, but one for each wait.
"""

import ipaddress
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
import httpx

from syncengine.destinations._http import NOT_SENT, Transport, inflater, is_untrusted, tls_context
from syncengine.destinations._line import Line
from syncengine.model import Fatal, NoAnswer

MAX_FILE: Final = 16 * 1024**3  #: bytes
_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of a storage. Only with status 200 anything was taken."""

    status: int
    size: int  #: bytes taken


async def fetch(
    url: str,
    take: Callable[[bytes], object],
    *,
    timeout: float,  # noqa: ASYNC109  # for each wait, not for the whole
    proxy: str | None = None,
    transport: Transport | None = None,
    most: int = MAX_FILE,
) -> Fetched | NoAnswer | Fatal:
    """GET `url` and hand over its content piece by piece. https, or http on loopback. Fatal: not to be asked."""
    address = _address(url)
    if address is None:
        return Fatal("download-url", "the address of the file is neither https nor on this machine")
    line = _line(address, proxy, transport)
    try:
        return await _fetch(line, address, take, timeout, most)
    except TimeoutError:
        return NoAnswer(f"{address.host}: nothing came for {timeout:g} s")
    except NOT_SENT as error:
        told = f"{address.host}: {type(error).__name__}"
        return Fatal("tls", told) if is_untrusted(error) else NoAnswer(told, sent=False)
    except (httpx.HTTPError, zlib.error, OSError) as error:
        return NoAnswer(f"{address.host}: {type(error).__name__}, the file is not whole")
    finally:
        with anyio.CancelScope(shield=True):
            await line.aclose()


async def _fetch(
    line: httpx.AsyncBaseTransport,
    url: httpx.URL,
    take: Callable[[bytes], object],
    timeout: float,  # noqa: ASYNC109
    most: int,
) -> Fetched | NoAnswer:
    timeouts = httpx.Timeout(timeout).as_dict()
    with anyio.fail_after(timeout):
        response = await line.handle_async_request(
            httpx.Request("GET", url, headers=_HEADERS, extensions={"timeout": timeouts})
        )
    if response.status_code != 200:
        return Fetched(response.status_code, 0)
    inflate = inflater(response.headers.get("content-encoding", "identity"))
    pieces = response.aiter_raw()
    size = 0
    while True:
        with anyio.fail_after(timeout):
            raw = await anext(pieces, None)
        if raw is None:
            break
        piece = inflate.decompress(raw, most + 1 - size) if inflate else raw
        size += len(piece)
        if size > most:
            return NoAnswer(f"{url.host}: the file is larger than {most // 1024**2:,} MiB")
        take(piece)
    if inflate and not inflate.eof:
        raise httpx.DecodingError("the compressed file is cut off")
    return Fetched(200, size)


def _address(url: str) -> httpx.URL | None:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError):
        return None
    if address.userinfo or not address.host:
        return None
    return address if address.scheme == "https" or (address.scheme == "http" and _is_loopback(address.host)) else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _line(url: httpx.URL, proxy: str | None, transport: Transport | None) -> httpx.AsyncBaseTransport:
    if transport is not None:
        return transport()
    context = tls_context() if proxy or url.scheme == "https" else None
    if proxy is None:
        return Line(context)
    return httpx.AsyncHTTPTransport(verify=context or True, proxy=proxy, trust_env=False)

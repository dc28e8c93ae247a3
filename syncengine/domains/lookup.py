"""The DNS, asked once for each name and kind."""

import ipaddress
import socket
from typing import Final

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from syncengine.errors import ConfigError, UnavailableError

_TIMEOUT: Final = 3.0  #: seconds for one try
_LIFETIME: Final = 10.0  #: seconds for one question, all tries


class DnsLookup:
    """A `findings.Lookup`: asks the system's name servers, or the one given as HOST, HOST:PORT or [v6]:PORT."""

    def __init__(self, nameserver: str | None = None, *, lifetime: float = _LIFETIME) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=nameserver is None)
        except dns.resolver.NoResolverConfiguration as error:
            raise ConfigError(
                "this machine names no name servers", why=str(error), fix="--nameserver 9.9.9.9", code="nameserver"
            ) from error
        if nameserver is not None:
            host, port = parse_nameserver(nameserver)
            self._resolver.nameservers = [host]
            self._resolver.port = port
        self._resolver.timeout = min(_TIMEOUT, lifetime)
        self._resolver.lifetime = lifetime
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}
        self.asked = 0  #: questions

    def __call__(self, name: str, kind: str) -> tuple[str, ...]:
        """See `findings.Lookup`."""
        key = (name.lower(), kind)
        if key not in self._known:
            self._known[key] = self._ask(name, kind)
        return self._known[key]

    def _ask(self, name: str, kind: str) -> tuple[str, ...]:
        self.asked += 1
        try:
            absolute = dns.name.from_text(name)
        except dns.exception.DNSException:
            return ()  # what a record refers to may be no name at all
        try:
            answer = self._resolver.resolve(absolute, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, OSError) as error:
            raise UnavailableError(
                f"no name server answers for {name} {kind}",
                why=f"{type(error).__name__}: {error}",
                fix="run it again later, or ask another one: --nameserver 9.9.9.9",
                code="dns-unavailable",
                sent="",
            ) from error
        if kind == "TXT":
            return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)
        return tuple(record.to_text() for record in answer)


def parse_nameserver(text: str) -> tuple[str, int]:
    """Address and port. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or ("]" not in host and ":" in host):
        host, port = text, "53"  # no port, or a bare IPv6 address
    host = host.strip("[]")
    try:
        return _address(host), _port(port)
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"--nameserver {text}: no name server",
            why=str(error),
            fix="--nameserver 9.9.9.9    or 127.0.0.1:5353",
            code="nameserver",
        ) from error


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65_536:
        raise ValueError(f"there is no port {number}")
    return number


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        found = socket.getaddrinfo(host, 53, type=socket.SOCK_DGRAM)
        return str(found[0][4][0])

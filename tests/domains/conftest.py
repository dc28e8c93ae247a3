"""A name server of our own, on a loopback port, over UDP and TCP."""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from syncengine.domains import expected

DOMAIN = "example.com"


@dataclass
class NameServer:
    """Answers from `zone`: (name, kind) → texts as a zone file has them.

    `silent` names get no answer, `broken` ones SERVFAIL. `truncating` cuts every UDP answer, so that a client has
    to come by TCP.
    """

    zone: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    truncating: bool = False
    port: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def put(self, name: str, kind: str, *values: str) -> None:
        """TXT values are given bare, and cut into strings of 255."""
        self.zone[name, kind] = [quoted(value) if kind == "TXT" else value for value in values]

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, transport))
        if name in self.silent:
            return None
        response = dns.message.make_response(query)
        if name in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.zone:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *self.zone[name, kind]))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if self.truncating and transport == "udp":
            response.answer = []
            response.flags |= dns.flags.TC
        return response.to_wire()


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{escaped[at : at + 255]}"' for at in range(0, len(escaped), 255))


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    server = NameServer()

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, socket = self.request
            reply = server.answer(wire, "udp")
            if reply is not None:
                socket.sendto(reply, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            reply = server.answer(self.rfile.read(length), "tcp")
            if reply is not None:
                self.wfile.write(struct.pack("!H", len(reply)) + reply)

    udp, tcp = _on_one_port(Udp, Tcp)
    server.port = udp.server_address[1]
    with contextlib.ExitStack() as stack:
        for one in (udp, tcp):
            stack.enter_context(one)
            thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(one.shutdown)
        yield server


def _on_one_port(
    udp_handler: Any, tcp_handler: Any
) -> tuple[socketserver.ThreadingUDPServer, socketserver.ThreadingTCPServer]:
    """A free port may be free for one of the two only."""
    for _ in range(50):
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp_handler)
        with contextlib.suppress(OSError):
            return udp, socketserver.ThreadingTCPServer(("127.0.0.1", udp.server_address[1]), tcp_handler)
        udp.server_close()
    raise OSError("no port is free for UDP and TCP")


@pytest.fixture
def zone(nameserver: NameServer) -> NameServer:
    """A name server with a domain that is all as SmartSender asks."""
    nameserver.put(DOMAIN, "TXT", "some-verification=1", expected.SPF)
    nameserver.put(f"sndmart._domainkey.{DOMAIN}", "TXT", expected.DKIM)
    nameserver.put(f"sm1._domainkey.{DOMAIN}", "TXT", expected.DOMAINKEY)
    nameserver.put(f"_dmarc.{DOMAIN}", "TXT", expected.dmarc(DOMAIN))
    nameserver.put(DOMAIN, "MX", "5 mail1.sndmart.com.")
    nameserver.put("_spf.sndmart.click", "TXT", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all")
    return nameserver

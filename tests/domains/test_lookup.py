"""Questions to a name server of our own, over UDP and TCP on loopback; and the verb that asks them."""

import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from syncengine.cli.main import main
from syncengine.domains import expected
from syncengine.domains.checks import check_domain
from syncengine.domains.lookup import DnsLookup, parse_nameserver
from syncengine.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from conftest import NameServer

DOMAIN = "example.com"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def check() -> Callable[..., Ran]:
    def check(*arguments: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            main(["dns", "check", *arguments])
        return Ran(int(str(left.value.code)), out.getvalue(), err.getvalue())

    return check


def test_a_domain_is_checked_over_the_wire_and_each_name_is_asked_for_once(zone: "NameServer") -> None:
    lookup = DnsLookup(zone.address)
    assert check_domain(DOMAIN, lookup).result == "ok"
    assert len(zone.asked) == len(set(zone.asked)) == lookup.asked == 6


def test_long_records_come_by_tcp_where_udp_cuts_them(zone: "NameServer") -> None:
    zone.truncating = True
    assert check_domain(DOMAIN, DnsLookup(zone.address)).result == "ok"
    assert {transport for *_, transport in zone.asked} == {"udp", "tcp"}


def test_a_record_in_several_strings_is_one_text(zone: "NameServer") -> None:
    long = expected.SPF.replace(" ?all", " " + " ".join(f"ip4:192.0.2.{number}" for number in range(40)) + " ?all")
    zone.put(DOMAIN, "TXT", long)
    assert DnsLookup(zone.address)(DOMAIN, "TXT") == (long,)


def test_no_such_name_and_no_such_record_are_the_same(zone: "NameServer") -> None:
    lookup = DnsLookup(zone.address)
    assert (lookup("nowhere.test", "TXT"), lookup(DOMAIN, "AAAA"), lookup(f"{'a' * 70}.test", "A")) == ((), (), ())


@pytest.mark.parametrize("trouble", ["broken", "silent"])
def test_a_name_server_that_does_not_answer_is_no_missing_record(zone: "NameServer", trouble: str) -> None:
    getattr(zone, trouble).add(f"sndmart._domainkey.{DOMAIN}")
    with pytest.raises(UnavailableError, match=f"no name server answers for sndmart._domainkey.{DOMAIN} TXT"):
        check_domain(DOMAIN, DnsLookup(zone.address, lifetime=0.3))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("localhost:5353", None),
    ],
)
def test_a_name_server_is_given_by_address_and_port(text: str, parsed: tuple[str, int] | None) -> None:
    found = parse_nameserver(text)
    assert found == parsed or (parsed is None and found[1] == 5353)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x", ""])
def test_what_is_no_name_server_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="no name server"):
        parse_nameserver(text)


def test_the_verb_ends_with_0_where_mail_can_be_sent(zone: "NameServer", check: Callable[..., Ran]) -> None:
    ran = check(DOMAIN, "--nameserver", zone.address)
    assert ran.code == 0
    assert [line.split()[:2] for line in ran.out.splitlines() if line.startswith("ok")] == [
        ["ok", "SPF"], ["ok", "DKIM"], ["ok", "DomainKey"], ["ok", "DMARC"], ["ok", "MX"],
    ]  # fmt: skip
    assert "All as SmartSender asks." in ran.err


def test_the_verb_ends_with_3_where_a_record_is_wrong_and_prints_what_to_paste(
    zone: "NameServer", check: Callable[..., Ran]
) -> None:
    zone.put(DOMAIN, "TXT", "v=spf1 mx -all")
    ran = check(DOMAIN, "--nameserver", zone.address)
    document = json.loads(check(DOMAIN, "--nameserver", zone.address, "--json").out)

    assert ran.code == 3
    assert '  example.com. IN TXT "v=spf1 mx include:_spf.sndmart.click -all"' in ran.out.splitlines()
    assert (document["schema_version"], document["domain"], document["result"]) == (1, DOMAIN, "problems")
    spf = document["checks"][0]
    assert (spf["name"], spf["status"], spf["found"], spf["value"]) == (
        "spf", "problem", ["v=spf1 mx -all"], "v=spf1 mx include:_spf.sndmart.click -all",
    )  # fmt: skip
    assert [warning["code"] for warning in spf["warnings"]] == ["spf-include-missing"]


def test_warnings_are_3_only_where_that_is_asked_for(zone: "NameServer", check: Callable[..., Ran]) -> None:
    zone.put(DOMAIN, "MX", "10 mx.example.net.")
    assert check(DOMAIN, "--nameserver", zone.address).code == 0
    assert check(DOMAIN, "--nameserver", zone.address, "--strict").code == 3


def test_a_name_server_that_is_not_there_ends_with_7_and_no_domain_with_2(
    zone: "NameServer", check: Callable[..., Ran]
) -> None:
    zone.broken.add(DOMAIN)
    assert check(DOMAIN, "--nameserver", zone.address, "--timeout", "0.5").code == 7
    assert check("no domain", "--nameserver", zone.address).code == 2
    assert check(DOMAIN, "--nameserver", "127.0.0.1:x").code == 2


def test_what_a_record_says_does_not_speak_to_the_terminal(zone: "NameServer", check: Callable[..., Ran]) -> None:
    zone.put(f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=none\\027[31m")
    assert "\x1b" not in check(DOMAIN, "--nameserver", zone.address).out


def test_the_commands_of_the_readme_run_as_they_stand(zone: "NameServer", check: Callable[..., Ran]) -> None:
    """But for whom they ask."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^syncengine dns check (.*)$", readme, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command.replace(" --nameserver 9.9.9.9", ""), comments=True)
        assert check(*words, "--nameserver", zone.address).code == 0

"""What is told about a domain, judged over records in a table, without a network."""

from collections.abc import Mapping

import pytest

from syncengine.domains import expected
from syncengine.domains.checks import check_domain, normal_domain
from syncengine.domains.findings import DomainReport, Finding, quoted
from syncengine.domains.spf import mended
from syncengine.errors import ConfigError, UnavailableError

DOMAIN = "example.com"
SENDER = "v=spf1 ip4:192.0.2.0/24 ~all"
Zone = dict[tuple[str, str], list[str]]


def zone(**changes: list[str] | None) -> Zone:
    """All as SmartSender asks, but for `changes`: spf, dkim, domainkey, dmarc, mx."""
    places = {
        "spf": (DOMAIN, "TXT"),
        "dkim": (f"sndmart._domainkey.{DOMAIN}", "TXT"),
        "domainkey": (f"sm1._domainkey.{DOMAIN}", "TXT"),
        "dmarc": (f"_dmarc.{DOMAIN}", "TXT"),
        "mx": (DOMAIN, "MX"),
    }
    plain: dict[str, list[str] | None] = {
        "spf": ["google-site-verification=abc", expected.SPF],
        "dkim": [expected.DKIM],
        "domainkey": [expected.DOMAINKEY],
        "dmarc": [expected.dmarc(DOMAIN)],
        "mx": [expected.MX],
    }
    records: Zone = {places[name]: values for name, values in (plain | changes).items() if values}
    records["_spf.sndmart.click", "TXT"] = [SENDER]
    return records


def report(records: Mapping[tuple[str, str], list[str]], domain: str = DOMAIN) -> DomainReport:
    def lookup(name: str, kind: str) -> tuple[str, ...]:
        found = records.get((name.lower(), kind), [])
        if found == ["SERVFAIL"]:
            raise UnavailableError(f"no name server answers for {name}")
        return tuple(found)

    return check_domain(domain, lookup)


def finding(name: str, records: Mapping[tuple[str, str], list[str]]) -> Finding:
    return next(one for one in report(records).findings if one.name == name)


def codes(one: Finding) -> list[str]:
    return [warning.code for warning in one.warnings]


def test_a_domain_as_smartsender_asks_is_all_right_and_has_nothing_to_paste() -> None:
    told = report(zone())
    assert told.result == "ok"
    assert [(one.name, one.status.value, one.required, one.paste) for one in told.findings] == [
        ("spf", "ok", True, None),
        ("dkim", "ok", True, None),
        ("domainkey", "ok", False, None),
        ("dmarc", "ok", False, None),
        ("mx", "ok", False, None),
    ]


def test_a_bare_domain_is_told_every_record_to_paste_as_the_page_has_them() -> None:
    told = report({})
    assert told.result == "problems"
    assert [(codes(one), one.paste) for one in told.findings] == [
        (["spf-missing"], 'example.com. IN TXT "v=spf1 include:_spf.sndmart.click ?all"'),
        (["dkim-missing"], f'sndmart._domainkey.example.com. IN TXT "{expected.DKIM}"'),
        (["domainkey-missing"], f'sm1._domainkey.example.com. IN TXT "{expected.DOMAINKEY}"'),
        (
            ["dmarc-missing"],
            '_dmarc.example.com. IN TXT "v=DMARC1; p=none; sp=none; rua=mailto:postmaster@example.com"',
        ),
        (["mx-missing"], "example.com. IN MX 5 mail1.sndmart.com."),
    ]


# SPF ------------------------------------------------------------------------------------------------------------------

SPF = [
    # record, codes, value to paste
    (["v=spf1 include:_spf.sndmart.click include:_spf.sndmart.com ?all"], ["spf-include-broken"], None),
    (["V=SPF1 INCLUDE:_SPF.SNDMART.CLICK -ALL"], [], None),
    (["v=spf1 mx -all"], ["spf-include-missing"], "v=spf1 mx include:_spf.sndmart.click -all"),
    (["v=spf1 mx"], ["spf-include-missing", "spf-no-all"], "v=spf1 mx include:_spf.sndmart.click ?all"),
    (
        ["v=spf1 -all include:_spf.sndmart.click"],
        ["spf-include-missing"],
        "v=spf1 include:_spf.sndmart.click -all",
    ),
    (["v=spf1 include:_spf.sndmart.click +all"], ["spf-all"], expected.SPF),
    (["v=spf1 include:_spf.sndmart.click all"], ["spf-all"], expected.SPF),
    (["v=spf1 all"], ["spf-include-missing", "spf-all"], expected.SPF),
    (["v=spf1 include:_spf.sndmart.click"], ["spf-no-all"], None),
    (["v=spf1 include:_spf.sndmart.click ptr ~all"], ["spf-ptr"], None),
    (["v=spf1 include:_spf.sndmart.click ipv4:192.0.2.1 ~all"], ["spf-syntax"], None),
    (["v=spf1 include: include:_spf.sndmart.click ~all"], ["spf-syntax"], None),
    (["v=spf1 include:nothing.example include:_spf.sndmart.click ~all"], ["spf-include-broken"], None),
    (["v=spf1 include:example.com include:_spf.sndmart.click ~all"], ["spf-loop"], None),
    (["v=spf1 include:%{d}.example.net include:_spf.sndmart.click ~all"], ["spf-macro"], None),
    (["v=spf1 include:silent.example include:_spf.sndmart.click ~all"], ["spf-include-silent"], None),
    (["v=spf1 include:_spf.sndmart.click unknown=modifier exp=why.example.com ~all"], [], None),
    (["v=spf1 redirect=through.example"], [], None),
    (["v=spf1 include:through.example -all"], [], None),
    (["v=spf1x include:_spf.sndmart.click ~all"], ["spf-missing"], expected.SPF),
    (
        ["v=spf1 mx -all", "v=spf1 include:_spf.sndmart.click ?all"],
        ["spf-several"],
        "v=spf1 mx include:_spf.sndmart.click -all",
    ),
]


@pytest.mark.parametrize(("records", "told", "value"), SPF, ids=[" + ".join(records) for records, _, _ in SPF])
def test_an_spf_record_is_judged_and_mended(records: list[str], told: list[str], value: str | None) -> None:
    world = zone(spf=records)
    world["through.example", "TXT"] = ["v=spf1 include:_spf.sndmart.click -all"]
    world["silent.example", "TXT"] = ["SERVFAIL"]
    world["example.com", "MX"] = [expected.MX]
    spf = finding("spf", world)
    assert (codes(spf), spf.value) == (told, value)


@pytest.mark.parametrize(("costly", "total"), [(9, 10), (10, 11), (40, None)])
def test_more_than_ten_look_ups_are_too_many_and_includes_count_what_they_include(
    costly: int, total: int | None
) -> None:
    world = zone(spf=["v=spf1 include:chain.example include:_spf.sndmart.click ~all"])
    world["chain.example", "TXT"] = [
        "v=spf1 " + " ".join(f"a:h{number}.example" for number in range(costly - 1)) + " ~all"
    ]
    for number in range(costly):
        world[f"h{number}.example", "A"] = ["192.0.2.1"]

    spf = finding("spf", world)

    assert codes(spf) == ([] if total == 10 else ["spf-lookups"])
    if total == 11:
        assert "it costs 11 look-ups" in spf.warnings[0].text


def test_look_ups_that_find_nothing_are_counted() -> None:
    spf = finding("spf", zone(spf=["v=spf1 a:x.example a:y.example exists:z.example include:_spf.sndmart.click ~all"]))
    assert (codes(spf), spf.status.value) == (["spf-void"], "warning")


@pytest.mark.parametrize("record", ["v=spf1", "v=spf1 -all", "v=spf1 +all a mx", "v=spf1 mx redirect=x.example"])
def test_a_mended_record_has_the_include_where_it_is_reached(record: str) -> None:
    world = zone(spf=[mended(record)], mx=[expected.MX])
    world["x.example", "TXT"] = [SENDER]
    world[DOMAIN, "A"] = ["192.0.2.1"]
    assert codes(finding("spf", world)) == []
    assert mended(mended(record)) == mended(record)


# Keys -----------------------------------------------------------------------------------------------------------------

KEY = expected.DKIM.partition("p=")[2]
DKIM = [
    ([f"v=DKIM1;k=rsa;p={KEY}"], []),
    ([f"k=rsa; p={KEY[:100]} {KEY[100:]};"], []),
    ([f"p={KEY}"], []),
    ([f"v=DKIM1; k=rsa; p={KEY[:-9]}AAAAAQAB"], ["dkim-mismatch"]),
    (["v=DKIM1; k=rsa; p="], ["dkim-revoked"]),
    (["v=DKIM1; k=rsa"], ["dkim-no-key"]),
    ([f"v=DKIM2; p={KEY}"], ["dkim-version"]),
    ([f"k=ed25519; p={KEY}"], ["dkim-type"]),
    ([f"t=y; p={KEY}"], ["dkim-testing"]),
    ([f"t=s; s=email:tlsrpt; p={KEY}"], []),
    ([f"s=tlsrpt; p={KEY}"], ["dkim-service"]),
    (["no tags at all"], ["dkim-syntax"]),
    ([f"p={KEY}; p={KEY}"], ["dkim-syntax"]),
    ([expected.DKIM, expected.DOMAINKEY], ["dkim-several"]),
    (None, ["dkim-missing"]),
]


@pytest.mark.parametrize(("records", "told"), DKIM)
def test_a_dkim_record_is_compared_with_the_key_that_signs(records: list[str] | None, told: list[str]) -> None:
    dkim = finding("dkim", zone(dkim=records))
    assert (codes(dkim), dkim.value) == (told, expected.DKIM if told else None)


def test_a_wrong_domainkey_is_worse_than_none() -> None:
    missing, wrong = (
        finding("domainkey", zone(domainkey=None)),
        finding("domainkey", zone(domainkey=[f"k=rsa; p={KEY}"])),
    )
    assert (missing.status.value, wrong.status.value, codes(wrong)) == ("warning", "problem", ["domainkey-mismatch"])


# DMARC and MX ---------------------------------------------------------------------------------------------------------

DMARC = [
    (["v=DMARC1; p=reject; rua=mailto:a@example.com"], []),
    (["v=dmarc1; p=None; rua=mailto:a@example.com"], []),
    (["v=DMARC1; p=block; rua=mailto:a@example.com"], ["dmarc-policy"]),
    (["v=DMARC1; rua=mailto:a@example.com"], ["dmarc-policy"]),
    (["v=DMARC1; p=none"], ["dmarc-reports"]),
    (["v=DMARC1; p=none; rua=mailto:a@example.com; pct=50; ri=3600"], ["dmarc-old"]),
    (["v=DMARC1 p=none"], ["dmarc-policy", "dmarc-reports"]),
    (["v=DMARC1;; p=none"], ["dmarc-syntax"]),
    (["v=DMARC1; p=none", "v=DMARC1; p=reject"], ["dmarc-several"]),
    (["v=spf1 -all"], ["dmarc-missing"]),
]


@pytest.mark.parametrize(("records", "told"), DMARC)
def test_a_dmarc_record_never_stops_mail_but_is_looked_at(records: list[str], told: list[str]) -> None:
    dmarc = finding("dmarc", zone(dmarc=records))
    assert codes(dmarc) == told
    assert dmarc.status.value in {"ok", "warning"}


def test_a_subdomain_has_the_dmarc_record_of_the_domain_above() -> None:
    told = report(zone(dmarc=["v=DMARC1; p=reject; sp=none; rua=mailto:a@example.com"]), "news.shop.example.com")
    dmarc = next(one for one in told.findings if one.name == "dmarc")
    assert (codes(dmarc), dmarc.found) == ([], ("v=DMARC1; p=reject; sp=none; rua=mailto:a@example.com",))


@pytest.mark.parametrize(
    ("records", "told"),
    [
        (["10 mx.example.net.", "5 MAIL1.sndmart.com."], []),
        (["10 mx.example.net."], ["mx-other"]),
        (["0 ."], ["mx-null"]),
        (None, ["mx-missing"]),
    ],
)
def test_mail_may_be_received_elsewhere(records: list[str] | None, told: list[str]) -> None:
    mx = finding("mx", zone(mx=records))
    assert codes(mx) == told
    assert (mx.paste is None) == (told != ["mx-missing"])


# Names and values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [("Example.COM.", "example.com"), ("straße.example", "xn--strae-oqa.example"), (" example.com ", "example.com")],
)
def test_a_domain_is_asked_for_as_the_dns_has_it(written: str, name: str) -> None:
    assert normal_domain(written) == name


@pytest.mark.parametrize(
    "written", ["", "localhost", "a b.example", "-x.example", f"{'a' * 64}.example", "anna@example.com"]
)
def test_what_is_no_domain_is_told(written: str) -> None:
    with pytest.raises(ConfigError, match="is no domain") as raised:
        normal_domain(written)
    assert raised.value.fix.endswith("example.com")


def test_a_long_value_is_pasted_in_strings_that_a_zone_file_takes() -> None:
    assert quoted("x" * 300) == f'"{"x" * 255}" "{"x" * 45}"'
    assert quoted('say "hi"') == '"say \\"hi\\""'

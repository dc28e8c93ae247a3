"""Servers by name."""

import dataclasses

import pytest

from syncengine.sandbox import DEFAULT_LIST, SCENARIOS, Behaviour, Fault, Sandbox, Status, described, scenario


def test_every_scenario_is_described_in_one_line() -> None:
    assert [name for name, _ in described()] == list(SCENARIOS)
    assert described()[0][0] == "documented"
    for name, description in described():
        assert name == name.lower().strip()
        assert 10 < len(description) < 90
        assert "\n" not in description


def test_no_two_scenarios_are_the_same() -> None:
    servers = [(one.behaviour, one.faults) for one in SCENARIOS.values()]
    assert all(servers.count(server) == 1 or server == (Behaviour(), ()) for server in servers)


def test_every_choice_the_page_leaves_open_is_in_a_scenario() -> None:
    played = {name for one in SCENARIOS.values() for name in one.behaviour.departures()}
    numbers_of_others = {"knee_seconds", "drop_variable"}
    assert {field.name for field in dataclasses.fields(Behaviour)} - played == numbers_of_others


def test_a_scenario_there_is_not_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="no scenario 'partial-name'; did you mean 'partial-named'"):
        scenario("partial-name")
    with pytest.raises(ValueError, match=r"no scenario 'xyz'; there are documented, partial-named, "):
        scenario("xyz")


def test_a_sandbox_plays_a_scenario_and_can_say_which() -> None:
    sandbox = Sandbox(faults=[Fault(what=Status(500))])
    assert sandbox.playing is None
    for name in SCENARIOS:
        sandbox.play(name)
        assert SCENARIOS[sandbox.playing] == SCENARIOS[name]
    sandbox.play("outage", {"rate": 3})
    assert (sandbox.behaviour, len(sandbox.faults), sandbox.playing) == (Behaviour(rate=3), 1, None)


def test_a_scenario_that_cannot_be_played_changes_nothing() -> None:
    sandbox = Sandbox(Behaviour(case_sensitive=True), [Fault(what=Status(500))])
    sandbox.seed(DEFAULT_LIST, [{"email": "Ann@example.com"}, {"email": "ann@example.com"}])
    for name, settings in (("outage", {}), ("documented", {"rte": 5}), ("nothing", {})):
        with pytest.raises(ValueError, match=r"same contact|did you mean 'rate'|no scenario"):
            sandbox.play(name, settings)
    assert (sandbox.behaviour, [*sandbox.faults]) == (Behaviour(case_sensitive=True), [Fault(what=Status(500))])


def test_settings_come_from_json_and_are_checked() -> None:
    assert Behaviour().changed({"add": "partial", "rate": 5, "max_body": None}) == Behaviour(add="partial", rate=5)
    for settings, text in (
        ({"ad": "partial"}, "there is no 'ad'; did you mean 'add'"),
        ({"add": "most"}, "add is one of atomic, partial, stop_at_first, applied_but_reported_failed; not 'most'"),
        ({"rate": "5"}, "rate is a number or null; not '5'"),
        ({"case_sensitive": 1}, "case_sensitive is true or false; not 1"),
        ({"max_batch": 2.5}, "max_batch is a whole number; not 2.5"),
        ({"max_batch": True}, "max_batch is a whole number; not True"),
    ):
        with pytest.raises(ValueError, match=text):
            Behaviour().changed(settings)
    assert Behaviour().changed(Behaviour(rate=2).settings()) == Behaviour(rate=2)

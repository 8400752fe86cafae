"""Scenarios and options as tests write them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.testing.controller import SMALL, SMALL_YAML, START, send


def test_a_scenario_is_a_name_a_path_or_data(tmp_path: Path) -> None:
    """A name that ships, a path as text or PathLike, and data make the same controller."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL_YAML)
    dumps = []
    for scenario in (str(file), file, SMALL):
        with mockanka.serve(scenario, clock="manual") as anka:
            dumps.append(anka.dump())
    with mockanka.serve("fleet", clock="manual") as anka:
        assert 100 == len(anka.nodes)

    assert dumps[0] == dumps[1] == dumps[2]
    assert ["only"] == [node["name"] for node in dumps[0]["nodes"]]


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    """Loading a path reads the present content of the file."""
    file = tmp_path / "mine.yaml"
    file.write_text("nodes: [{name: first}]\n")
    with mockanka.serve(file) as anka:
        file.write_text("nodes: [{name: another}]\n")
        anka.load(file)

        assert ["another"] == [node.name for node in anka.nodes.values()]


def test_data_that_is_changed_later_changes_nothing() -> None:
    """A reset returns to the scenario as it was passed, even if the dictionary has changed."""
    scenario: dict[str, Any] = {"nodes": [{"name": "mine"}], "faults": [{"do": {"status": 503, "body": {"why": "a"}}}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        before = anka.dump()
        scenario["nodes"][0]["name"] = "other"
        scenario["faults"][0]["do"]["body"]["why"] = "b"
        anka.reset()

        assert before == anka.dump()


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("defalt", "defalt: there is no such file, and no shipped scenario: did you mean 'default'?"),
        ({"nodes": [{"nam": "x", "name": "x"}]}, "scenario: nodes[0].nam: unknown key, did you mean 'name'?"),
        (5, "5 is no scenario: give the name of one that ships, a file, or data"),
        (b"default", "b'default' is no scenario: give the name of one that ships, a file, or data"),
    ],
)
def test_a_wrong_scenario_says_what_is_wrong(scenario: Any, message: str) -> None:
    """ScenarioError names the place and the nearest valid word."""
    with pytest.raises(mockanka.ScenarioError) as caught:
        mockanka.serve(scenario)

    assert message == str(caught.value)


def test_options_beat_the_scenario_and_outlive_reset_and_load() -> None:
    """Clock, step, release and seed stay those of the options, whatever a scenario says."""
    configured = {"seed": 99, "controller": {"release": "1.20.0"}, "clock": {"mode": "real", "step": "1m"}}

    def settings(anka: Anka) -> tuple[object, ...]:
        dump = anka.dump()
        return dump["seed"], dump["controller"]["release"], dump["clock"]["mode"], dump["clock"]["step"]

    with mockanka.serve(configured, clock="manual", seed=7, release="1.43.0", step="9s") as anka:
        at_first = settings(anka)
        anka.reset()
        after_reset = settings(anka)
        anka.load({**configured, "seed": 3})
        after_load = settings(anka)

    assert (7, "1.43.0", "manual", "9s") == at_first == after_reset == after_load


DRAINING: dict[str, Any] = {
    "controller": {"release": "1.8.0"},
    "nodes": [{"name": "mini"}],
    "faults": [{"match": {"event": "begin"}, "do": {"node": "drain"}}],
}


def test_a_scenario_is_validated_for_the_release_that_it_runs_with(tmp_path: Path) -> None:
    """A scenario that its own release does not support is valid with a newer one, loaded or served."""
    file = tmp_path / "draining.yaml"
    file.write_text(json.dumps(DRAINING))
    for scenario in (DRAINING, file):
        with mockanka.serve(scenario, clock="manual", release="1.50.1") as anka:
            served = anka.nodes["mini"].state
            anka.load("empty")
            anka.load(scenario)

            assert ("Drain Mode", "Drain Mode") == (served, anka.nodes["mini"].state)
        with mockanka.serve("default", clock="manual") as anka:
            with pytest.raises(mockanka.ScenarioError, match=r"release 1\.8\.0 knows no Drain Mode"):
                anka.load(scenario)
            assert 2 == len(anka.nodes)
        with pytest.raises(mockanka.ScenarioError, match=r"release 1\.8\.0 knows no Drain Mode"):
            mockanka.serve(scenario)


def test_the_default_clock_is_real() -> None:
    """Without options and scenario the clock is real and starts now."""
    before = datetime.now(UTC)
    with mockanka.serve("empty") as anka:
        now = anka.clock.now

        assert "real" == anka.clock.mode
    assert before <= now + timedelta(microseconds=1)
    assert now <= datetime.now(UTC)


def test_a_stepping_clock_moves_with_each_api_request() -> None:
    """Each request advances it by the step, a text or a timedelta; reading views does not."""
    for step in ("7s", timedelta(seconds=7)):
        with mockanka.serve("empty", clock="step", step=step) as anka:
            send(anka, "GET")
            send(anka, "GET")
            assert [] == list(anka.nodes)

            assert START + timedelta(seconds=14) == anka.clock.now


def test_a_fast_clock_runs_by_itself() -> None:
    """At a speed of 10^6 the clock advances at least a million times the wall time between two readings."""
    with mockanka.serve("empty", clock="real", speed=1e6) as anka:
        before = anka.clock.now
        began = time.monotonic()
        send(anka, "GET")
        passed = time.monotonic() - began

        assert anka.clock.now - before >= timedelta(seconds=1e6 * passed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "manul"}, "'manul' is no clock: did you mean 'manual'?"),
        ({"speed": 0}, "0 is no speed: give a number above zero, like 60"),
        ({"speed": -1.0}, "-1.0 is no speed: give a number above zero, like 60"),
        ({"release": "newest"}, "'newest' is no release: give one like 1.50.1"),
        ({"step": "soon"}, "'soon' is no duration: write it like 20s, 1m30s or 250ms"),
    ],
)
def test_a_wrong_option_is_a_value_error(options: dict[str, Any], message: str) -> None:
    """The message names the value and a valid one."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        mockanka.serve("empty", **options)

    assert message == str(caught.value)


def test_a_step_backwards_is_refused() -> None:
    """A negative step would turn time back with each request."""
    with pytest.raises(ValueError, match="back"):
        mockanka.serve("empty", clock="step", step=timedelta(seconds=-5)).stop()


def test_a_seed_that_is_no_number_is_refused() -> None:
    """A seed is a whole number, as in a scenario."""
    with pytest.raises((ValueError, TypeError), match="seed"):
        mockanka.serve("empty", seed="seven").stop()  # type: ignore[arg-type]

"""Options that several commands have: bad values, and the environment."""

import pytest

from mockanka.core.release import Release
from mockanka.scenario import Options
from mockanka.server import http_server
from mockanka.units import SECOND
from tests.cli.invoke import call, call_serve

BAD_VALUES = [
    ("--port", "99999", "0<=x<=65535"),
    ("--port", "-1", "0<=x<=65535"),
    ("--port", "http", "'http'"),
    ("--release", "1.2", "older than 1.8.0"),
    ("--release", "latest", "'latest' is no release: give one like"),
    ("--step", "-5s", "'-5s' is negative: time does not go back"),
    ("--step", "5", "'5' is no duration: write it like 20s, 1m30s or 250ms"),
    ("--step", "9999999h", "longer than a thousand years"),
    ("--speed", "0", "0<x<=1000000000"),
    ("--speed", "-1", "0<x<=1000000000"),
    ("--speed", "fast", "'fast'"),
    ("--speed", "nan", "nan"),
    ("--speed", "inf", "inf"),
    ("--clock", "steping", "'real', 'manual', 'step'"),
    ("--seed", "x", "'x'"),
    ("--seed", str(2**63), str(2**63)),
]


@pytest.mark.parametrize("source", ["option", "environment"])
@pytest.mark.parametrize(("option", "value", "hint"), BAD_VALUES)
def test_a_bad_value_is_refused_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, source: str, option: str, value: str, hint: str
) -> None:
    """A wrong value, on the command line or in the environment, ends with status 2 and names the option."""
    monkeypatch.setattr(http_server, "serve_simulator", lambda simulator, listening, ready: listening[0].close())
    port = [] if option == "--port" else ["--port", "0"]
    env = {f"MOCKANKA_{option[2:].upper()}": value} if source == "environment" else {}
    result = call("serve", *port, *([option, value] if source == "option" else []), **env)

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"Invalid value for '{option}'" in result.stderr
    assert hint in result.stderr


VALUES = {
    "--seed": ("7", "seed", 7),
    "--release": ("1.24.0", "release", Release(1, 24, 0)),
    "--clock": ("step", "clock", "step"),
    "--speed": ("60", "speed", 60.0),
    "--step": ("1m30s", "step", 90 * SECOND),
}


@pytest.mark.parametrize("option", VALUES)
def test_each_option_reaches_the_simulator(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """An option has the same effect on the command line and in the environment."""
    value, name, expected = VALUES[option]
    by_option = call_serve(monkeypatch, "--port", "0", option, value)
    by_environment = call_serve(monkeypatch, "--port", "0", **{f"MOCKANKA_{name.upper()}": value})

    assert [Options(**{name: expected})] * 2 == [by_option.options, by_environment.options]


@pytest.mark.parametrize(
    ("option", "in_environment", "on_command_line"),
    [
        ("--seed", "1", "2"),
        ("--release", "1.24.0", "1.50.1"),
        ("--clock", "step", "manual"),
        ("--speed", "2", "3"),
        ("--step", "1s", "2s"),
    ],
)
def test_an_option_beats_the_environment(
    monkeypatch: pytest.MonkeyPatch, option: str, in_environment: str, on_command_line: str
) -> None:
    """The command line overrides the environment."""
    variable = {f"MOCKANKA_{option[2:].upper()}": in_environment}
    both = call_serve(monkeypatch, "--port", "0", option, on_command_line, **variable)

    assert call_serve(monkeypatch, "--port", "0", option, on_command_line).options == both.options

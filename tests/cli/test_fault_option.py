"""``--fault``: rules on the command line of ``serve`` and ``run``."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockanka.core.faults import FaultRule
from tests.cli.commands import HTTP, run, run_python
from tests.cli.invoke import call_serve

START_FAILS = "{match: {event: start}, do: {fail: no VM}, times: 1}"
UNAVAILABLE = "{id: busy, match: {path: /api/v1/vm}, do: {status: 503}}"


def rules_of(monkeypatch: pytest.MonkeyPatch, *args: str, **env: str) -> list[FaultRule]:
    """Return the rules in force of a controller that is served with these arguments."""
    return list(call_serve(monkeypatch, "--port", "0", *args, **env).simulator.controller.faults)


def test_a_rule_is_yaml_and_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option adds a rule; one without an id gets one."""
    first, second = rules_of(monkeypatch, "--fault", START_FAILS, "--fault", UNAVAILABLE)

    assert ("option-1", "start", "no VM", 1) == (first.id, first.match.event, first.action.fail, first.times)
    assert ("busy", "/api/v1/vm", 503, None) == (second.id, second.match.path, second.action.status, second.times)


@pytest.mark.parametrize("value", [f"[{START_FAILS}, {UNAVAILABLE}]", f"faults: [{START_FAILS}, {UNAVAILABLE}]"])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_rules_may_be_a_list_or_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, in_a_file: bool
) -> None:
    """A list of rules, as it stands or under ``faults`` as in a scenario; ``@FILE`` reads a file."""
    if in_a_file:
        (tmp_path / "faults.yaml").write_text(value)
        value = f"@{tmp_path / 'faults.yaml'}"

    assert ["option-1", "busy"] == [rule.id for rule in rules_of(monkeypatch, "--fault", value)]


def test_rules_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """MOCKANKA_FAULT has a rule on each line."""
    rules = rules_of(monkeypatch, MOCKANKA_FAULT=f"{START_FAILS}\n{UNAVAILABLE}")

    assert ["option-1", "busy"] == [rule.id for rule in rules]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("do: {stauts: 503}", "Invalid value for '--fault': fault:1: do.stauts: unknown key, did you mean 'status'?"),
        ("[{do: {status: 503}}, {do: {}}]", "fault:1: [1].do"),
        ("{do: ", "fault:1: not valid YAML"),
        ("status", "Invalid value for '--fault': fault:1: must be"),
        ("@no-such-file", "Invalid value for '--fault': no-such-file cannot be read"),
        ("{match: {event: start, node: x}, do: {fail: y}}", "fault: match.node: there is no node 'x'"),
        (f"[{UNAVAILABLE}, {UNAVAILABLE}]", "fault: id: there is another fault 'busy'"),
    ],
)
def test_a_wrong_rule_is_refused(value: str, message: str) -> None:
    """The message names the option and the key, the status is 2, and the command is not run."""
    done = run("--fault", value, "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert message in done.stderr


def test_a_wrong_rule_in_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    """The message names the file and the line."""
    file = tmp_path / "faults.yaml"
    file.write_text("- do: {status: 503}\n- do: {stauts: 503}\n")
    done = run("--fault", f"@{file}", "--", "echo", "ran")

    assert 2 == done.returncode
    assert f"{file}:2: [1].do.stauts: unknown key" in done.stderr


def test_the_rule_outlives_resets_and_other_scenarios() -> None:
    """It strikes before and after a reset and a load, each time as often as it says."""
    program = """
import urllib.error
def status():
    try: return web.urlopen(url + '/api/v1/vm', timeout=5).status
    except urllib.error.HTTPError as error: return error.code
print(status(), status())
ask('/_mock/reset', {})
print(status(), status())
ask('/_mock/reset', {'scenario': 'empty'})
print(status(), status())
"""
    done = run_python(HTTP + program, "--fault", "{match: {path: /api/v1/vm}, do: {status: 503}, times: 1}")

    assert "503 200\n503 200\n503 200\n" == done.stdout, done.stderr


def test_the_rule_comes_before_those_of_the_scenario(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever writes an option wants it to decide; the ids of the scenario's own rules stay as they are."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("faults: [{do: {status: 500}}]")

    assert ["option-1", "fault-1"] == [
        rule.id for rule in rules_of(monkeypatch, str(scenario), "--fault", UNAVAILABLE.replace("id: busy, ", ""))
    ]

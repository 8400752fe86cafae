"""Whatever types a controller sends, a check reads them, and writes all its reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from mockanka.check.console import render_results
from mockanka.check.from_recording import check_recording
from mockanka.check.junit import write_junit
from mockanka.check.read_checks import ITEM_IDS
from mockanka.check.results import Results
from mockanka.check.write_checks import WriteTarget, find_write_target
from mockanka.contract.exchange import Exchange
from mockanka.core.release import Release
from mockanka.remote.client import ControllerError
from mockanka.snapshot.scenario_file import take_snapshot
from tests.check.mutations import TypeMutations
from tests.check.simulated import SimulatedController
from tests.conftest import FULL

SEEDS = 1000 if FULL else 12
SCENARIOS = ("default", "reference")


def run_with_mutations(seed: int, write: bool) -> Results:
    """Return the results of a run; the scenario depends on the seed."""
    simulated = SimulatedController(SCENARIOS[seed % 2])
    template = simulated.template_id
    node = next(iter(simulated.controller.nodes))
    simulated.alter = TypeMutations(seed)
    target = WriteTarget(template, None, node) if write else None
    return simulated.run(simulated.client(), target, release=simulated.controller.release)


@pytest.mark.parametrize("write", [False, True])
def test_a_run_reads_any_type(write: bool, tmp_path: Path) -> None:
    """No step breaks off, and each report can be read; text for a terminal has no control characters."""
    for seed in range(SEEDS):
        try:
            results = run_with_mutations(seed, write)
        except ControllerError:
            continue  # the status itself cannot be used, and the message says so
        console = Console(record=True, width=200, quiet=True)
        console.print(render_results(results), soft_wrap=True)
        write_junit(results, tmp_path / "x.xml")

        assert [] == results.broken_steps, f"seed {seed}"
        assert all(line.isprintable() for line in console.export_text().splitlines()), f"seed {seed}"
        assert "testsuites" == ElementTree.parse(tmp_path / "x.xml").getroot().tag
        assert "mockanka" in json.loads(json.dumps(results.as_json()))


def test_a_target_is_found_among_any_types() -> None:
    """Templates and nodes are found, or the error names what there is."""
    simulated = SimulatedController()
    client = simulated.client()
    for seed in range(SEEDS * 3):
        simulated.alter = TypeMutations(seed)
        try:
            target = find_write_target(client, "14.5-arm64", "vanilla", "mini-01")
        except ControllerError:
            continue
        assert isinstance(target.template, str)
        assert isinstance(target.node, str)


@pytest.mark.parametrize("redact", [False, True])
def test_a_snapshot_reads_any_type(redact: bool) -> None:
    """It is a scenario, or the error says why there is none."""
    controllers = [SimulatedController(name) for name in SCENARIOS]
    for seed in range(SEEDS):
        simulated = controllers[seed % 2]
        simulated.alter = TypeMutations(seed)
        try:
            text = take_snapshot(simulated.client(), Release.parse("1.50.1"), redact)
        except ControllerError:
            continue
        assert "snapshot: true" in text


def test_a_recording_has_any_type(tmp_path: Path) -> None:
    """No exchange breaks off the check of a recording."""
    path = tmp_path / "x.har"
    for seed in range(SEEDS):
        simulated = SimulatedController(SCENARIOS[seed % 2])
        simulated.alter = TypeMutations(seed)
        client = simulated.client()
        exchanges = [client.request("GET", list_path) for list_path in ITEM_IDS for _ in range(2)]
        path.write_text(json.dumps({"log": {"version": "1.2", "entries": list(map(har_entry, exchanges))}}), "utf-8")
        results = check_recording(path)

        assert [] == results.broken_steps, f"seed {seed}"
        assert len(exchanges) == sum(totals.requests for totals in results.request_totals.values())


def har_entry(exchange: Exchange) -> dict[str, Any]:
    """Return an exchange as a browser records it."""
    headers = [{"name": name, "value": value} for name, value in exchange.headers.items()]
    content = {"mimeType": "application/json", "text": exchange.response_content.decode()}
    request = {"method": exchange.method, "url": f"http://anka:8090{exchange.path}", "headers": []}
    response = {"status": exchange.status, "headers": headers, "content": content}
    return {"startedDateTime": "2026-01-01T00:00:00Z", "time": 1, "request": request, "response": response}

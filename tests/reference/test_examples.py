"""The curl examples of the controller reference get the responses that it prints.

They are sent over HTTP to a server of the scenario that has their objects. Values that an example leaves out by name
are checked for their shape only.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import requests
import yaml
from urllib3.util import SKIP_HEADER

from tests.reference.comparison import (
    Comparison,
    differences,
)
from tests.reference.examples import EXAMPLES, NODE, Example

ROOT = Path(__file__).parents[2]
SCENARIO = ROOT / "scenarios" / "reference.yaml"
TIMEOUT = 30
"""Seconds that the server may take to start, to answer or to stop."""
CURL_COMMANDS = 28
"""The number of curl commands in the fenced blocks of the reference."""

by_example = pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a server of the reference scenario, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOCKANKA_")}
    command = [sys.executable, "-m", "mockanka", "serve", "reference", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], TIMEOUT)[0], "no ready line in time"
            ready = json.loads(process.stdout.readline())
            assert ready["pid"] == process.pid
            yield ready["url"]
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def curl() -> Iterator[requests.Session]:
    """A session that adds to a request what curl adds, and nothing else."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()
        session.headers.update({"User-Agent": "curl/7.64.1", "Accept": "*/*", "Accept-Encoding": SKIP_HEADER})
        yield session


def replay(curl: requests.Session, url: str, example: Example) -> requests.Response:
    """Send the request of an example to a controller as it was at first, and return the response."""
    curl.post(f"{url}/_mock/reset", json={"scenario": "reference"}, timeout=TIMEOUT).raise_for_status()
    if example.adapt is not None:
        scenario = yaml.safe_load(SCENARIO.read_text(encoding="utf-8"))
        before = deepcopy(scenario)
        example.adapt(scenario)
        assert scenario != before
        curl.put(f"{url}/_mock/scenario", json=scenario, timeout=TIMEOUT).raise_for_status()
    request = requests.Request(example.method, url + example.path, headers=example.headers, data=example.body)
    prepared = curl.prepare_request(request)
    if example.body is None:
        prepared.headers.pop("Content-Length", None)
    return curl.send(prepared, timeout=TIMEOUT)


@by_example
def test_an_example_is_answered_as_the_reference_prints_it(curl: requests.Session, url: str, example: Example) -> None:
    """Keys, types and values are those of the example, except for what it leaves out; every rule is used."""
    response = replay(curl, url, example)
    comparison = Comparison(example.left_out, example.may_have_more)
    comparison.compare(example.response, response.json())
    assert comparison.found == []
    assert comparison.used == {*example.left_out}
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_as_many_examples_are_replayed_as_the_reference_has_curl_commands() -> None:
    """Every curl command of the reference is an example."""
    assert len(EXAMPLES) == CURL_COMMANDS
    assert len({(example.method, example.path, example.body) for example in EXAMPLES}) == CURL_COMMANDS
    assert len({example.name for example in EXAMPLES}) == CURL_COMMANDS


def test_the_scenario_has_a_release_a_seed_and_a_manual_clock() -> None:
    """The reference scenario has release 1.8.0, seed 0, a manual clock, and begins with a sentence."""
    text = SCENARIO.read_text(encoding="utf-8")
    scenario = yaml.safe_load(text)
    assert scenario["controller"]["release"] == "1.8.0"
    assert scenario["seed"] == 0
    assert scenario["clock"]["mode"] == "manual"
    assert re.fullmatch(r"# [A-Z].*\.", text.partition("\n")[0])


def test_the_examples_of_nodes_and_instances_contradict_each_other(curl: requests.Session, url: str) -> None:
    """With all instances of the examples the node differs from its example in the counts of its three VMs."""
    (example,) = [example for example in EXAMPLES if example.name == "node-list"]
    unadapted = Example("", example.method, example.path, example.response, example.headers)
    response = replay(curl, url, unadapted).json()
    found = differences(example.response, response, example.left_out, example.may_have_more)
    node = f"body/{NODE['node_id']}"
    assert sorted(found) == [
        f"{node}/ram_util: 0.09375 instead of 0.03125",
        f"{node}/vcpu_count: 6 instead of 2",
        f"{node}/vm_count: 3 instead of 1",
        f"{node}/vram: 6144 instead of 2048",
    ]

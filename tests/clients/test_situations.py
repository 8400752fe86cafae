"""The known behaviour of each client on the releases that it supports, in good and bad situations.

Source: controller-facts D.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from mockanka import Anka, resources
from tests.clients.clients import (
    BEFORE_1_24,
    CANNOT_END,
    RELEASES,
    STARTERS,
    UNSUPPORTED,
    Outcome,
    at,
    by_release,
    outcome_of,
)

CACHED, COLD = "14.5-arm64", "13.6-arm64"


def extended_default(**more: Any) -> dict[str, Any]:
    """Return the scenario ``default`` with more items in some lists."""
    whole = yaml.safe_load(resources.find_resource("scenarios/default.yaml").read_text("utf-8"))
    return {**whole, **{key: [*whole.get(key, []), *items] for key, items in more.items()}}


class Situation(NamedTuple):
    """A scenario, and the template that the client starts in it."""

    scenario: Any = "default"
    template: str = CACHED
    scripts: bool = False
    """True if only clients that send a startup script are tested in it."""


TAKEN = [
    {"template": CACHED, "tag": "xcode-15", "node": node, "name": f"taken-{place}"}
    for place, node in enumerate(("mini-01", "mini-02", "mini-02"), start=1)
]
STOPS = {"match": {"event": "started", "name": "taken-1"}, "do": {"stop": True, "after": "10m"}}
FAILS = {"match": {"event": "start"}, "do": {"fail": "failed to start VM", "final": True}}

SITUATIONS: dict[str, Situation] = {
    "cached": Situation(),
    "pull": Situation(template=COLD),
    "start fails": Situation(extended_default(faults=[FAILS])),
    "script fails": Situation(
        extended_default(scripts=[{"return_code": 3, "stderr": "boom", "takes": "4s"}]), scripts=True
    ),
    "script takes too long": Situation(extended_default(scripts=[{"takes": "20m"}]), scripts=True),
    "full until a slot is free": Situation(extended_default(instances=TAKEN, faults=[STOPS])),
}

WITH_SCRIPTS = {"jenkins", "gitlab-executor", "actions-2022", "actions-2026", "drone", "mcp"}
SETTINGS: dict[str, dict[str, Any]] = {
    "jenkins": {"startup_script": "amF2YSAtamFyIGFnZW50Lmphcg=="},
    "flower": {"job_limit": 1800},
}

SSH, FREED = "192.0.2.12:10000", "192.0.2.11:10001"
NO_MACHINE = Outcome("works", "Scheduling")
FOUND = {
    "cached": Outcome("works", SSH),
    "pull": Outcome("works", SSH),
    "full until a slot is free": Outcome("works", FREED),
}
UNMONITORED = {"script fails": Outcome("works", SSH), "script takes too long": Outcome("works", SSH)}
"""The result of a script that is not monitored is not reported (controller-facts C4)."""


def in_all_situations(outcome: Outcome) -> dict[str, Outcome]:
    """Return the same outcome for all situations."""
    return dict.fromkeys(SITUATIONS, outcome)


def actions_outcomes(dead: str = "Error") -> dict[str, Outcome]:
    """Return the outcomes of the GitHub actions by situation."""
    return {
        **dict.fromkeys(("cached", "pull", "full until a slot is free"), Outcome("works", "started")),
        "start fails": Outcome("fails", f"{dead}: failed to start VM"),
        "script fails": Outcome("fails", f"{dead}: startup script exit code 3 boom"),
        "script takes too long": Outcome("fails", f"{dead}: startup script exit code -1"),
    }


EXPECTED: dict[str, dict[str, Outcome]] = {
    "jenkins": {**FOUND, **UNMONITORED, "start fails": Outcome("fails", "Error: failed to start VM", 1, 1)},
    "teamcity": {**FOUND, "start fails": Outcome("fails", "Error: failed to start VM", 1, 1)},
    "gitlab-executor": {
        **FOUND,
        "start fails": Outcome("fails", "unexpected state Error: failed to start VM"),
        "script fails": Outcome("fails", "unexpected state Error: startup script exit code 3"),
        "script takes too long": Outcome("fails", "unexpected state Error: startup script exit code -1"),
    },
    "gitlab-runner": {**FOUND, "start fails": Outcome("fails", "Instance State changed to Error", 1, 1)},
    "actions-2022": actions_outcomes(),
    "actions-2026": actions_outcomes(),
    "drone": {
        **FOUND,
        "start fails": Outcome("fails", "Error: failed to start VM", 3, 3),
        "script fails": Outcome("fails", "Error: startup script exit code 3", 3, 3),
        "script takes too long": Outcome("fails", "Error: startup script exit code -1", 3, 3),
    },
    "mcp": {
        **FOUND,
        **UNMONITORED,
        "pull": Outcome("works", "pending"),
        "start fails": Outcome("fails", "Error: failed to start VM"),
        "full until a slot is free": Outcome("fails", "not ready within 180 s, last seen Scheduling"),
    },
    "flower": {
        **dict.fromkeys(("cached", "pull", "full until a slot is free"), Outcome("works", "running")),
        # It looks at vminfo, and an instance that fails before its VM is up has none here (controller-facts A2.6).
        "start fails": Outcome("waits", "no end after 1800 s"),
    },
    "mgmtcl": in_all_situations(NO_MACHINE),
    "cirrus": {
        **dict.fromkeys(("cached", "full until a slot is free"), Outcome("works", "Started")),
        "pull": Outcome("fails", "unexpected state Pulling", 1, 1),
        "start fails": Outcome("fails", "unexpected state Error", 1, 1),
    },
}
"""The outcomes by client and situation, on every release but those of RELEASE_OUTCOMES."""

NONE_OF_USE = Outcome("fails", "no instance of this job is of use")
NOT_MONITORED = {
    "actions-2022": dict.fromkeys(UNMONITORED, Outcome("works", "started")),
    "actions-2026": dict.fromkeys(UNMONITORED, Outcome("works", "started")),
    "drone": {**UNMONITORED, "start fails": Outcome("fails", "Error: failed to start VM", 3, 0)},
    "gitlab-executor": {
        **in_all_situations(NONE_OF_USE),
        "start fails": EXPECTED["gitlab-executor"]["start fails"],
    },
}
"""The outcomes before 1.24: nothing monitors scripts, and an instance tells neither its id nor its external_id."""
RELEASE_OUTCOMES: dict[tuple[str, str], dict[str, Outcome]] = {
    (name, release): outcomes for name, outcomes in NOT_MONITORED.items() for release in BEFORE_1_24
}


def cases() -> Iterator[Any]:
    """Yield the parameters of each client, release and situation."""
    for name in STARTERS:
        for release in RELEASES:
            for situation, here in SITUATIONS.items():
                if not here.scripts or name in WITH_SCRIPTS:
                    marks = at(release, here.scenario)
                    yield pytest.param(name, release, situation, marks=marks, id=f"{name}-{release}-{situation}")


@pytest.mark.parametrize(("name", "release", "situation"), [*cases()])
def test_the_client_does_what_it_is_on_record_to_do(anka: Anka, name: str, release: str, situation: str) -> None:
    """Each client gets its VM, reports, waits or terminates its instance, as its code is known to do."""
    client = STARTERS[name](anka, vmid=anka.templates[SITUATIONS[situation].template].id, **SETTINGS.get(name, {}))
    expected = {**EXPECTED[name], **RELEASE_OUTCOMES.get((name, release), {})}[situation]

    assert expected == outcome_of(anka, client.start)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", STARTERS)
def test_unsupported_releases_are_those_where_a_cached_start_fails(name: str, release: str) -> None:
    """A client stands in the list of unsupported releases exactly if it gets no VM from a cached template."""
    expected = {**EXPECTED[name], **RELEASE_OUTCOMES.get((name, release), {})}

    assert ((name, release) in UNSUPPORTED) == (expected["cached"].what != "works")


def lose_node_of_second(**fields: str) -> dict[str, Any]:
    """Return a scenario in which the node of the second instance is lost while its VM works."""
    do = {"node": "offline", "after": "5m", **fields}
    return extended_default(faults=[{"match": {"event": "started"}, "do": do, "skip": 1}])


LOST, KEPT = lose_node_of_second(lost_instances="error"), lose_node_of_second(lost_instances="keep")

SEEN: dict[str, str] = {
    "jenkins": "ended: Error",
    "teamcity": "Error",
    "gitlab-executor": "no instance of this job is of use",
}
"""The observations of clients while their VM works; most clients do not look."""
LEAVES = {"gitlab-executor": Outcome("fails", "no instance of this job is of use", 1, 0)}
"""The outcome of a cleanup that ignores an instance in Error, and so leaves it behind."""


def supported(scenario: dict[str, Any]) -> list[Any]:
    """Return a parameter for each client and release that the client supports, with that scenario."""
    return [
        pytest.param(name, marks=at(release, scenario), id=f"{name}-{release}")
        for name in STARTERS
        for release in RELEASES
        if (name, release) not in {**UNSUPPORTED, **CANNOT_END}
    ]


@pytest.mark.parametrize("name", supported(KEPT))
def test_a_node_is_lost_and_its_instance_is_kept(anka: Anka, name: str) -> None:
    """No client sees that the VM is out of reach: each finds it Started, and can terminate it."""
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    machine = client.start()
    before = client.look(machine)
    anka.clock.advance("10m")

    assert ("Started", before) == (anka.instances[machine.id].state, client.look(machine))
    assert Outcome("works", "", 1, 1) == outcome_of(anka, lambda: client.end(machine))


@pytest.mark.parametrize("name", supported(LOST))
def test_a_node_is_lost_while_the_vm_works(anka: Anka, name: str) -> None:
    """If the scenario has lost instances in Error, a client that looks two minutes later sees it, and terminates it."""
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    machine = client.start()
    anka.wait(machine.id, "Error")

    assert SEEN.get(name, "") == client.look(machine)
    assert LEAVES.get(name, Outcome("works", "", 1, 1)) == outcome_of(anka, lambda: client.end(machine))


BROKEN = SITUATIONS["script fails"].scenario
AFTER_SCRIPT = {
    "gitlab-executor": "stopped",
    "actions-2026": "running",
    "drone": "deleted",
}
"""The status of a VM whose script has failed, as its client asks (controller-facts C3)."""


@pytest.mark.parametrize("release", by_release(BROKEN, RELEASES[2:]))
@pytest.mark.parametrize("name", AFTER_SCRIPT)
def test_the_vm_of_a_failed_script_is_handled_as_the_client_asks(anka: Anka, name: str, release: str) -> None:
    """It is stopped by default, kept, or deleted; the script's result is there in each case."""
    outcome_of(anka, STARTERS[name](anka, vmid=anka.templates[CACHED].id).start)
    shown = [request.answer["body"] for request in anka.requests.where(method="GET", path="/api/v1/vm")]
    failed = next(instance for instance in shown if instance["instance_state"] == "Error")

    assert AFTER_SCRIPT[name] == failed["vminfo"]["status"]
    assert {"return_code": 3, "did_timeout": False, "stdout": "", "stderr": "boom"} == failed["startup_script"]

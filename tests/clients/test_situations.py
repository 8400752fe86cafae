"""Every client at home: what each is on record to do when things go well, and when they do not (controller-facts D)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from mockanka import Anka, resources
from tests.clients.clients import CANNOT, RELEASES, STARTERS, Outcome, at, outcome_of

CACHED, COLD = "14.5-arm64", "13.6-arm64"


def office(**more: Any) -> dict[str, Any]:
    """The scenario ``default`` with something more."""
    whole = yaml.safe_load(resources.find_resource("scenarios/default.yaml").read_text("utf-8"))
    return {**whole, **{key: [*whole.get(key, []), *each] for key, each in more.items()}}


class Situation(NamedTuple):
    scenario: Any = "default"
    template: str = CACHED
    scripts: bool = False
    """Only for clients that send a startup script."""


TAKEN = [
    {"template": CACHED, "tag": "xcode-15", "node": node, "name": f"taken-{place}"}
    for place, node in enumerate(("mini-01", "mini-02", "mini-02"), start=1)
]
STOPS = {"match": {"event": "started", "name": "taken-1"}, "do": {"stop": True, "after": "10m"}}
FAILS = {"match": {"event": "start"}, "do": {"fail": "failed to start VM"}}

SITUATIONS: dict[str, Situation] = {
    "cached": Situation(),
    "pull": Situation(template=COLD),
    "start fails": Situation(office(faults=[FAILS])),
    "script fails": Situation(office(scripts=[{"return_code": 3, "stderr": "boom", "takes": "4s"}]), scripts=True),
    "script takes too long": Situation(office(scripts=[{"takes": "20m"}]), scripts=True),
    "full until a slot is free": Situation(office(instances=TAKEN, faults=[STOPS])),
}

WITH_SCRIPTS = {"jenkins", "gitlab-executor", "actions-2022", "actions-2026", "drone", "mcp"}
SETTINGS: dict[str, dict[str, Any]] = {
    "jenkins": {"startup_script": "amF2YSAtamFyIGFnZW50Lmphcg=="},
    "flower": {"job_limit": 1800},
}

SSH, FREED = "10.0.0.12:10000", "10.0.0.11:10001"
NO_MACHINE = Outcome("works", "Scheduling")
FOUND = {
    "cached": Outcome("works", SSH),
    "pull": Outcome("works", SSH),
    "full until a slot is free": Outcome("works", FREED),
}
UNHEARD = {"script fails": Outcome("works", SSH), "script takes too long": Outcome("works", SSH)}
"""Nobody hears of a script that is not monitored (controller-facts C4)."""


def all_of(outcome: Outcome) -> dict[str, Outcome]:
    return dict.fromkeys(SITUATIONS, outcome)


def actions_of(dead: str = "Error") -> dict[str, Outcome]:
    return {
        **dict.fromkeys(("cached", "pull", "full until a slot is free"), Outcome("works", "started")),
        "start fails": Outcome("fails", f"{dead}: failed to start VM"),
        "script fails": Outcome("fails", f"{dead}: startup script exit code 3 boom"),
        "script takes too long": Outcome("fails", f"{dead}: startup script exit code -1"),
    }


EXPECTED: dict[str, dict[str, Outcome]] = {
    "jenkins": {**FOUND, **UNHEARD, "start fails": Outcome("fails", "Error: failed to start VM", 1, 1)},
    "teamcity": {**FOUND, "start fails": Outcome("fails", "Error: failed to start VM", 1, 1)},
    "gitlab-executor": {
        **FOUND,
        "start fails": Outcome("fails", "unexpected state Error: failed to start VM"),
        "script fails": Outcome("fails", "unexpected state Error: startup script exit code 3"),
        "script takes too long": Outcome("fails", "unexpected state Error: startup script exit code -1"),
    },
    "gitlab-runner": {**FOUND, "start fails": Outcome("fails", "Instance State changed to Error", 1, 1)},
    "actions-2022": actions_of(),
    "actions-2026": actions_of(),
    "drone": {
        **FOUND,
        "start fails": Outcome("fails", "Error: failed to start VM", 3, 3),
        "script fails": Outcome("fails", "Error: startup script exit code 3", 3, 3),
        "script takes too long": Outcome("fails", "Error: startup script exit code -1", 3, 3),
    },
    "mcp": {
        **FOUND,
        **UNHEARD,
        "start fails": Outcome("fails", "Error: failed to start VM"),
        "full until a slot is free": Outcome("fails", "not ready within 180 s, last seen Scheduling"),
    },
    "flower": {
        **dict.fromkeys(("cached", "pull", "full until a slot is free"), Outcome("works", "running")),
        # It looks at vminfo, and an instance that fails before its VM is up has none here (controller-facts A2.6).
        "start fails": Outcome("waits", "no end after 1800 s"),
    },
    "mgmtcl": all_of(NO_MACHINE),
    "cirrus": all_of(NO_MACHINE),
}
"""By client and situation, on every release, but for what comes next."""

NOT_FOUND = Outcome("crashes", "NullPointerException: the instance is not in the list")
NONE_OF_USE = Outcome("fails", "no instance of this job is of use")
# Before 1.24 nothing monitors scripts.
OTHERWISE: dict[tuple[str, str], dict[str, Outcome]] = {
    ("teamcity", "1.8.0"): all_of(NOT_FOUND),
    ("gitlab-executor", "1.8.0"): {
        **all_of(NONE_OF_USE),
        "start fails": EXPECTED["gitlab-executor"]["start fails"],
    },
    ("actions-2022", "1.8.0"): dict.fromkeys(UNHEARD, Outcome("works", "started")),
    ("actions-2026", "1.8.0"): dict.fromkeys(UNHEARD, Outcome("works", "started")),
    ("drone", "1.8.0"): UNHEARD,
}


def cases() -> Iterator[Any]:
    for name in STARTERS:
        for release in RELEASES:
            for situation, here in SITUATIONS.items():
                if not here.scripts or name in WITH_SCRIPTS:
                    marks = at(release, here.scenario)
                    yield pytest.param(name, release, situation, marks=marks, id=f"{name}-{release}-{situation}")


@pytest.mark.parametrize(("name", "release", "situation"), [*cases()])
def test_the_client_does_what_it_is_on_record_to_do(anka: Anka, name: str, release: str, situation: str) -> None:
    """Each client gets its VM, says what it says, waits or ends what it started, as its code is known to do."""
    client = STARTERS[name](anka, vmid=anka.templates[SITUATIONS[situation].template].id, **SETTINGS.get(name, {}))
    expected = {**EXPECTED[name], **OTHERWISE.get((name, release), {})}[situation]

    assert expected == outcome_of(anka, client.start)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", STARTERS)
def test_who_is_not_at_home_somewhere_has_a_reason(name: str, release: str) -> None:
    """A client that cannot even have a VM from a warm cache stands in the list of those that cannot, and only such."""
    expected = {**EXPECTED[name], **OTHERWISE.get((name, release), {})}

    assert ((name, release) in CANNOT) == (expected["cached"].what != "works")


LOST = office(faults=[{"match": {"event": "started"}, "do": {"node": "offline", "after": "5m"}, "skip": 1}])

SEEN: dict[str, str] = {
    "jenkins": "ended: Error",
    "teamcity": "Error",
    "gitlab-executor": "no instance of this job is of use",
}
"""What a client notices while its VM works; most do not look."""
LEAVES = {"gitlab-executor": Outcome("fails", "no instance of this job is of use", 1, 0)}
"""Whose cleanup wants a VM that is of use, and so leaves one in Error behind."""


AT_HOME = [
    pytest.param(name, marks=at(release, LOST), id=f"{name}-{release}")
    for name in STARTERS
    for release in RELEASES
    if (name, release) not in CANNOT
]


@pytest.mark.parametrize("name", AT_HOME)
def test_a_node_is_lost_while_the_vm_works(anka: Anka, name: str) -> None:
    """Two minutes after its node went away the instance is in Error: who looks sees it, and who ends it can."""
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    machine = client.start()
    anka.wait(machine.id, "Error")

    assert SEEN.get(name, "") == client.look(machine)
    assert LEAVES.get(name, Outcome("works", "", 1, 1)) == outcome_of(anka, lambda: client.end(machine))


BROKEN = SITUATIONS["script fails"].scenario
AFTER_SCRIPT = {
    "gitlab-executor": {"1.24.0": "stopped", "1.50.1": "stopped"},
    "actions-2026": {"1.24.0": "running", "1.50.1": "running"},
    "drone": {"1.24.0": "deleted", "1.50.1": "deleted"},
}
"""What becomes of the VM whose script has failed: each client has another wish (controller-facts C3)."""


@pytest.mark.parametrize("release", [pytest.param(each, marks=at(each, BROKEN), id=each) for each in RELEASES[1:]])
@pytest.mark.parametrize("name", AFTER_SCRIPT)
def test_the_vm_of_a_failed_script_is_as_the_client_wished(anka: Anka, name: str, release: str) -> None:
    """Stopped where nothing is said, kept, or deleted; the script's result is there in any case."""
    outcome_of(anka, STARTERS[name](anka, vmid=anka.templates[CACHED].id).start)
    shown = [each.answer["body"] for each in anka.requests.where(method="GET", path="/api/v1/vm")]
    failed = next(each for each in shown if each["instance_state"] == "Error")

    assert AFTER_SCRIPT[name][release] == failed["vminfo"]["status"]
    assert {"return_code": 3, "did_timeout": False, "stdout": "", "stderr": "boom"} == failed["startup_script"]

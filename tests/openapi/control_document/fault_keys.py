"""A value for each key of a fault rule."""

from __future__ import annotations

from mockanka.core.faults import LIFECYCLE_FAULTS, RESPONSE_FAULTS

ACTION_VALUES: dict[str, object] = {
    "delay": {"uniform": ["0s", "1m30s"]},
    "status": 503,
    "body": "no",
    "content_type": "text/html",
    "refuse": "1s",
    "unreachable": "1s",
    "connection": "reset",
    "cut": 40,
    "dribble": "1s",
    "stale": True,
    "acts": False,
    "fail": "no",
    "final": True,
    "at": "40%",
    "after": "1s",
    "after_polls": 2,
    "for": "1s",
    "stall": True,
    "bandwidth": "1Mbit/s",
    "every": "20s",
    "end": "nightly",
    "without": ["ip"],
    "set": {"vm.arch": "x"},
    "merge_patch": {"arch": None},
    "item": {"name": "build-7"},
    "exit": 3,
    "timeout": True,
    "stdout": "x",
    "stderr": "x",
    "stop": True,
    "vanish": True,
    "ignore": True,
    "node": "offline",
    "lost_instances": "error",
    "registry": "down",
    "license": "expired",
    "restart": {"for": "10s", "release": "1.51.2"},
}
"""A value for each key of ``do``."""

MATCH_VALUES: dict[str, object] = {
    "method": "GET",
    "path": "/api/v1/*",
    "query": {"id": "x"},
    "header": {"x-test": "a*"},
    "user_agent": "curl*",
    "nth": "2-3",
    "body": {"a": 1},
    "instance": "x",
    "name": "x",
    "external_id": "x",
    "template": "14.5-arm64",
    "tag": "vanilla",
    "node": "mini-01",
    "group": "ios",
}
"""A value for each key of ``match`` except for the event."""

COMPATIBLE_KEYS: dict[str | None, dict[str, frozenset[str]]] = {None: RESPONSE_FAULTS}
"""The actions of a rule by its event, which a response fault does not have, each with the keys that may go with it."""
COMPATIBLE_KEYS.update(LIFECYCLE_FAULTS)

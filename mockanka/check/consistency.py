"""Consistency of the responses about an instance or a distribution over time: states, progress, constant fields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mockanka.check.results import Results
from mockanka.check.transitions import may_follow
from mockanka.contract.exchange import Exchange
from mockanka.contract.paths import DISTRIBUTIONS_PATH, INSTANCES_PATH

CONSTANT_KEYS = ("vmid", "cr_time")
CREATION_TOLERANCE = 1.0
"""Seconds that the creation time may be after the last report; it is so by a microsecond (controller-facts A0.2)."""


class ConsistencyMonitor:
    """Compares each exchange with the earlier ones. All exchanges must be passed to it in their order."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.instances: dict[str, dict[str, Any]] = {}
        """The latest response about each instance, by id."""
        self._deliveries: dict[tuple[str, str], dict[str, Any]] = {}
        """The latest status of each distribution at each node, by both ids."""

    def observe(self, exchange: Exchange, operation: str, request: str) -> None:
        """Check an exchange and remember it."""
        if exchange.method != "GET" or not exchange.succeeded:
            return
        if exchange.path == INSTANCES_PATH:
            for id, instance in instances_in(exchange):
                self._observe_instance(id, instance, operation, request)
        elif exchange.path == DISTRIBUTIONS_PATH:
            self._observe_distributions(exchange.body, operation, request)

    def _observe_instance(self, id: str, instance: dict[str, Any], operation: str, request: str) -> None:
        self._check_instance(id, instance, operation, request)
        before = self.instances.get(id)
        self.instances[id] = instance
        if before is None:
            return
        old_state, state = before.get("instance_state"), instance.get("instance_state")
        if isinstance(old_state, str) and isinstance(state, str):
            text = f"{id} was {old_state} and is {state}"
            self._claim("moves", operation, may_follow(old_state, state), text, request)
        if before.get("node_id") == instance.get("node_id"):
            self._check_progress(before.get("progress"), instance.get("progress"), f"of {id}", operation, request)
        for key in CONSTANT_KEYS:
            is_same = before.get(key) == instance.get(key)
            text = f"{key} of {id} was {before.get(key)} and is {instance.get(key)}"
            self._claim("constant", operation, is_same, text, request)

    def _check_instance(self, id: str, instance: dict[str, Any], operation: str, request: str) -> None:
        state = instance.get("instance_state")
        if state == "Started":
            has_vm = isinstance(instance.get("vminfo"), dict)
            self._claim("vm-of-state", operation, has_vm, f"{id} is Started and has no vminfo", request)
        elif state in ("Scheduling", "Pulling"):
            has_vm = "vminfo" in instance
            self._claim("vm-of-state", operation, not has_vm, f"{id} is {state} and has a vminfo", request)
        elif state == "Error":
            has_message = bool(instance.get("message"))
            self._claim("error-told", operation, has_message, f"{id} is in Error without a message", request)
        created, reported = _timestamp(instance.get("cr_time")), _timestamp(instance.get("ts"))
        if created is not None and reported is not None:
            is_ordered = reported - created >= -CREATION_TOLERANCE
            text = f"ts of {id} is {created - reported:.1f} s before cr_time"
            self._claim("time-order", operation, is_ordered, text, request)

    def _observe_distributions(self, body: Any, operation: str, request: str) -> None:
        for distribution in body if isinstance(body, list) else [body]:
            id = str(object_at(distribution, "request").get("request_id"))
            for node_id, delivery in object_at(distribution, "distribute_status").items():
                key = id, node_id
                before = self._deliveries.get(key)
                self._deliveries[key] = delivery if isinstance(delivery, dict) else {}
                if before is None or not isinstance(delivery, dict):
                    continue
                name = f"of {id} at {node_id}"
                self._check_progress(before.get("progress"), delivery.get("progress"), name, operation, request)
                was_undone = before.get("status") is True and delivery.get("status") is False
                text = f"the delivery {name} was done, and no longer is"
                self._claim("moves", operation, not was_undone, text, request)

    def _check_progress(self, before: Any, now: Any, name: str, operation: str, request: str) -> None:
        if _is_number(before) and _is_number(now):
            text = f"progress {name} was {before} and is {now}"
            self._claim("progress", operation, now >= before, text, request)

    def _claim(self, check: str, operation: str, holds: bool, text: str, request: str) -> None:
        if holds:
            self.results.add_pass(check, operation)
        else:
            self.results.add_finding(check, operation, text, request)


def instances_in(exchange: Exchange) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the id and the data of each instance in a response, be it a list or a single one."""
    body = exchange.body
    if isinstance(body, dict) and exchange.parameters.get("id"):
        yield exchange.parameters["id"], body
    for item in body if isinstance(body, list) else ():
        if isinstance(item, dict) and isinstance(item.get("instance_id"), str):
            yield item["instance_id"], object_at(item, "vm")


def object_at(value: Any, key: str) -> dict[str, Any]:
    """Return the object at a key; empty if the value or the member is not an object."""
    member = value.get(key) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _timestamp(text: Any) -> float | None:
    """Return seconds since 1970, or None if it is not a time, which the schema reports."""
    try:
        # Python reads up to six digits of a fraction; from 3.11 on it ignores more.
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None

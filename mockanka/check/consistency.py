"""What is seen of every instance and distribution, request by request: legal moves, progress, what never changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mockanka.check.results import Results
from mockanka.check.transitions import may_follow
from mockanka.contract.exchange import Exchange

INSTANCES, DISTRIBUTIONS = "/api/v1/vm", "/api/v1/registry/vm/distribute"
CONSTANT = ("vmid", "cr_time")
AHEAD = 1.0
"""Seconds that the time of creation may be ahead of the last report: it is by a microsecond (controller-facts A0.2)."""


class Watch:
    """Hears every exchange, in their order."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.instances: dict[str, dict[str, Any]] = {}
        """The last that was seen of each."""
        self._nodes: dict[tuple[str, str], dict[str, Any]] = {}

    def see(self, exchange: Exchange, operation: str, request: str) -> None:
        """Compare what an answer shows with what was seen before."""
        if exchange.method != "GET" or not exchange.succeeded:
            return
        if exchange.path == INSTANCES:
            for id, instance in instances_in(exchange):
                self._see_instance(id, instance, operation, request)
        elif exchange.path == DISTRIBUTIONS:
            self._see_distributions(exchange.body, operation, request)

    def _see_instance(self, id: str, now: dict[str, Any], operation: str, request: str) -> None:
        self._see_by_itself(id, now, operation, request)
        before = self.instances.get(id)
        self.instances[id] = now
        if before is None:
            return
        was, state = before.get("instance_state"), now.get("instance_state")
        if isinstance(was, str) and isinstance(state, str):
            self._claim("moves", operation, may_follow(was, state), f"{id} was {was} and is {state}", request)
        if before.get("node_id") == now.get("node_id"):
            self._claim_risen(before.get("progress"), now.get("progress"), f"of {id}", operation, request)
        for key in CONSTANT:
            same = before.get(key) == now.get(key)
            text = f"{key} of {id} was {before.get(key)} and is {now.get(key)}"
            self._claim("constant", operation, same, text, request)

    def _see_by_itself(self, id: str, now: dict[str, Any], operation: str, request: str) -> None:
        state = now.get("instance_state")
        if state == "Started":
            there = isinstance(now.get("vminfo"), dict)
            self._claim("vm-of-state", operation, there, f"{id} is Started and has no vminfo", request)
        elif state in ("Scheduling", "Pulling"):
            there = "vminfo" in now
            self._claim("vm-of-state", operation, not there, f"{id} is {state} and has a vminfo", request)
        elif state == "Error":
            self._claim("error-told", operation, bool(now.get("message")), f"{id} is in Error without message", request)
        made, heard = _moment(now.get("cr_time")), _moment(now.get("ts"))
        if made is not None and heard is not None:
            late = heard - made >= -AHEAD
            self._claim("time-order", operation, late, f"ts of {id} is {made - heard:.1f} s before cr_time", request)

    def _see_distributions(self, body: Any, operation: str, request: str) -> None:
        for each in body if isinstance(body, list) else [body]:
            asked, nodes = _part(each, "request"), _part(each, "distribute_status")
            for node_id, now in nodes.items():
                key = str(asked.get("request_id")), node_id
                before = self._nodes.get(key)
                self._nodes[key] = now if isinstance(now, dict) else {}
                if before is None or not isinstance(now, dict):
                    continue
                what = f"of {key[0]} at {node_id}"
                self._claim_risen(before.get("progress"), now.get("progress"), what, operation, request)
                undone = before.get("status") is True and now.get("status") is False
                self._claim("moves", operation, not undone, f"{what} was done and is so no more", request)

    def _claim_risen(self, before: Any, now: Any, what: str, operation: str, request: str) -> None:
        if _is_number(before) and _is_number(now):
            text = f"progress {what} was {before} and is {now}"
            self._claim("progress", operation, now >= before, text, request)

    def _claim(self, check: str, operation: str, holds: bool, text: str, request: str) -> None:
        if holds:
            self.results.passed(check, operation)
        else:
            self.results.found(check, operation, text, request)


def instances_in(exchange: Exchange) -> Iterator[tuple[str, dict[str, Any]]]:
    """The instances that an answer shows, by their ids."""
    body = exchange.body
    if isinstance(body, dict) and exchange.parameters.get("id"):
        yield exchange.parameters["id"], body
    for item in body if isinstance(body, list) else ():
        if isinstance(item, dict) and isinstance(item.get("instance_id"), str):
            yield item["instance_id"], _part(item, "vm")


def _part(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(text: Any) -> float | None:
    """Seconds since 1970; None of what is no time, as the judge has said."""
    try:
        # Python reads up to six digits of a fraction, and takes more from 3.11 on without counting them.
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None

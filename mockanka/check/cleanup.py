"""Removal of the objects that a run created, also after an interrupt and after a broken connection."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from mockanka.check.results import Leftover, Results
from mockanka.check.transitions import TERMINATION_STATES
from mockanka.contract.exchange import Exchange
from mockanka.contract.paths import GROUPS_PATH, INSTANCES_PATH, NOT_FOUND_MESSAGE
from mockanka.remote.client import ControllerClient, NoResponse, id_query

CHECK_PREFIX = "mockanka-check-"
"""The beginning of every name and external id that a run uses."""
ATTEMPT_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt."""
CLEANUP_LIMIT = 60.0
"""Seconds for the removal, in addition to the limit of the run."""
LATE_REQUEST_DELAY = 1.0
"""Seconds after which a creation without a response has taken effect."""


class Cleanup:
    """Finds and removes the objects of a run, which all have ``mark`` in their names and external ids."""

    def __init__(self, client: ControllerClient, results: Results, sleep: Callable[[float], None]) -> None:
        self.client, self.results, self.sleep = client, results, sleep
        self.mark = CHECK_PREFIX + uuid4().hex[:8]
        self.instances: set[str] = set()
        self.terminated: set[str] = set()
        """Those instances whose termination was accepted."""
        self.groups: set[str] = set()
        self.used_paths: set[str] = set()
        """Paths at which something may have been created."""
        self.unconfirmed: Counter[str] = Counter()
        """Creations at each path that may have had an effect, and whose responses name nothing that was created."""
        self._attempt = 0
        self._requested: set[str] = set()
        """Objects whose removal was requested, whatever the response."""
        self._absences: dict[str, set[int]] = {}
        """The attempts in which an object was neither listed nor found by its id."""

    @contextmanager
    def creation(self, path: str, known: set[str]) -> Iterator[Callable[[Exchange], Exchange]]:
        """Watch a request that creates objects, whose ids become ``known``; call the result with its exchange."""
        self.used_paths.add(path)
        self.unconfirmed[path] += 1

        def finish(exchange: Exchange) -> Exchange:
            ids = created_ids(exchange)
            known.update(ids)
            if ids or is_refusal(exchange):
                self.unconfirmed[path] -= 1
            return exchange

        yield finish

    def remove_all(self) -> None:
        """Remove all objects; those that remain are added to the results."""
        if not self.used_paths:
            return
        self.client.restart_limit(CLEANUP_LIMIT)
        try:
            known = set(self.instances)
            if self._remove(INSTANCES_PATH, "instance", self._remaining_instances, self._terminate):
                self._add_unrecognised(known)
            self._remove(GROUPS_PATH, "group", self._remaining_groups, self._delete_group)
        except KeyboardInterrupt:
            self._add_leftovers(INSTANCES_PATH, "instance", self.instances - self.terminated, "interrupted")
            self._add_leftovers(GROUPS_PATH, "group", self.groups, "interrupted")

    def _remove(self, path: str, kind: str, find: Callable[[], set[str]], remove: Callable[[str], Exchange]) -> bool:
        """Remove all objects of a kind, and return whether the list could be read."""
        if path not in self.used_paths:
            return False
        remaining = set(self.instances if path == INSTANCES_PATH else self.groups)
        reason = ""
        was_listed = False
        for delay in ATTEMPT_DELAYS:
            self.sleep(delay)
            self._attempt += 1
            try:
                remaining = find()
                if not remaining and not was_listed:
                    # A request without a response may still be on its way.
                    self.sleep(LATE_REQUEST_DELAY)
                    remaining = find()
                was_listed = True
                for id in sorted(remaining):
                    self._requested.add(id)
                    exchange = remove(id)
                    reason = exchange.message or f"HTTP {exchange.status}"
                if remaining:
                    remaining = find()
                if not remaining:
                    return True
            except NoResponse as error:
                reason = str(error)
        self._add_leftovers(path, kind, remaining, reason, was_listed)
        return was_listed

    def _add_leftovers(self, path: str, kind: str, ids: set[str], reason: str, was_listed: bool = True) -> None:
        operation = "terminateVm" if path == INSTANCES_PATH else "deleteGroup"
        for id in sorted(ids):
            self.results.leftovers.append(Leftover(kind, id, self._removal_command(path, id)))
        if ids:
            self.results.add_remark(f"{operation}: not everything could be removed: {reason}")
        elif not was_listed and self.unconfirmed[path] > 0:
            name = f"{'an' if kind == 'instance' else 'a'} {kind}"
            hint = f"its name would contain {self.mark}"
            self.results.add_remark(f"it is unknown whether {name} of this run remains ({reason}); {hint}")
            self.results.leftovers.append(Leftover(kind, f"any named {self.mark}", self._curl(path)))

    def _add_unrecognised(self, known: set[str]) -> None:
        """Add a remark on starts whose instances were not found by their mark; those of ``known`` ids are others."""
        count = self.unconfirmed[INSTANCES_PATH] - len(self.instances - known)
        if count > 0:
            self.results.add_remark(
                f"terminateVm: starts without an id in their response: {count}; no instance is listed with {self.mark} "
                "in its name or external_id, so one that was started all the same cannot be recognised, and remains"
            )

    def _terminate(self, id: str) -> Exchange:
        exchange = self.client.request("DELETE", INSTANCES_PATH, body={"id": id})
        if exchange.succeeded:
            self.terminated.add(id)
        return exchange

    def _delete_group(self, id: str) -> Exchange:
        exchange = self.client.request("DELETE", GROUPS_PATH, id_query(id))
        if exchange.succeeded or exchange.message == NOT_FOUND_MESSAGE:
            self.groups.discard(id)
        return exchange

    def _remaining_instances(self) -> set[str]:
        """Return our instances that are not yet terminating, and not gone."""
        listed = {str(item.get("instance_id")) for item in self._list(INSTANCES_PATH) if self._is_marked(item)}
        self.instances |= listed
        remaining = set()
        for id in self.instances - self.terminated:
            exchange = self.client.request("GET", INSTANCES_PATH, id_query(id))
            body = lenient_body(exchange)
            if isinstance(body, dict) and str(body.get("instance_state")) in TERMINATION_STATES:
                self.terminated.add(id)
            elif not self._is_gone(id, is_absent=id not in listed and is_refusal(exchange)):
                remaining.add(id)
        return remaining

    def _remaining_groups(self) -> set[str]:
        """Return our groups that are not gone."""
        listed = {str(item.get("id")) for item in self._list(GROUPS_PATH) if self._is_marked(item)}
        return {id for id in listed | self.groups if not self._is_gone(id, is_absent=id not in listed)}

    def _is_gone(self, id: str, is_absent: bool) -> bool:
        """Return whether an object is gone: its removal was requested, and it was absent in two attempts.

        One that is absent once may not be listed yet.
        """
        if not is_absent:
            self._absences.pop(id, None)
            return False
        attempts = self._absences.setdefault(id, set())
        if id in self._requested:
            attempts.add(self._attempt)
        return len(attempts) > 1

    def _is_marked(self, item: dict[str, Any]) -> bool:
        return any(self.mark in str(item.get(key)) for key in ("name", "external_id"))

    def _list(self, path: str) -> list[dict[str, Any]]:
        exchange = self.client.request("GET", path)
        body = lenient_body(exchange)
        if not isinstance(body, list):
            raise NoResponse(f"GET {path} returns no list: {exchange.message or exchange.status}")
        return [item for item in body if isinstance(item, dict)]

    def _removal_command(self, path: str, id: str) -> str:
        if path == GROUPS_PATH:
            return self._curl(f"{path}?{id_query(id)}", "-X", "DELETE")
        return self._curl(path, "-X", "DELETE", "-d", json.dumps({"id": id}))

    def _curl(self, path: str, *arguments: str) -> str:
        """Return a command line with the options for authentication, but without secrets."""
        options = self.client.options
        parts = ["curl", *arguments]
        if options.token is not None:
            parts += ["-u", "root:TOKEN"]
        for option, file in (("--cert", options.cert), ("--key", options.key), ("--cacert", options.ca)):
            parts += [option, str(file)] if file is not None else []
        parts += ["-k"] if options.insecure else []
        for name, _ in options.headers:
            parts += ["-H", f"{name}: ..."]
        return shlex.join([*parts, f"{str(self.client.url).rstrip('/')}{path}"])


def is_refusal(exchange: Exchange) -> bool:
    """Return whether a response says that nothing was done: a FAIL, or an HTTP status of the client's mistakes."""
    return (_lenient_envelope(exchange) or {}).get("status") == "FAIL" or 400 <= exchange.status < 500


def created_ids(exchange: Exchange) -> list[str]:
    """Return the ids in the response to a creation: a list of them, or an object with its id."""
    body = lenient_body(exchange)
    ids = body if isinstance(body, list) else [body.get("id")] if isinstance(body, dict) else []
    return [id for id in ids if isinstance(id, str) and id]


def lenient_body(exchange: Exchange) -> Any:
    """Return the body of a response, also of one that the checks find unusable: what was created has to be found."""
    return None if is_refusal(exchange) else (_lenient_envelope(exchange) or {}).get("body")


def _lenient_envelope(exchange: Exchange) -> dict[str, Any] | None:
    if exchange.envelope is not None:
        return exchange.envelope
    try:
        value = json.loads(exchange.response_content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

"""Removal of the objects that a run created, also after an interrupt and after a broken connection."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
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

    def remove_all(self) -> None:
        """Remove all objects; those that remain are added to the results."""
        if not self.used_paths:
            return
        self.client.restart_limit(CLEANUP_LIMIT)
        try:
            self._remove(INSTANCES_PATH, "instance", self._remaining_instances, self._terminate)
            self._remove(GROUPS_PATH, "group", self._remaining_groups, self._delete_group)
        except KeyboardInterrupt:
            self._add_leftovers(INSTANCES_PATH, "instance", self.instances - self.terminated, "interrupted")
            self._add_leftovers(GROUPS_PATH, "group", self.groups, "interrupted")

    def _remove(self, path: str, kind: str, find: Callable[[], set[str]], remove: Callable[[str], Exchange]) -> None:
        if path not in self.used_paths:
            return
        remaining = set(self.instances if path == INSTANCES_PATH else self.groups)
        reason = ""
        was_listed = False
        for delay in ATTEMPT_DELAYS:
            self.sleep(delay)
            try:
                remaining = find()
                if not remaining and not was_listed:
                    # A request without a response may still be on its way.
                    self.sleep(LATE_REQUEST_DELAY)
                    remaining = find()
                was_listed = True
                for id in sorted(remaining):
                    exchange = remove(id)
                    reason = exchange.message or f"HTTP {exchange.status}"
                if remaining:
                    remaining = find()
                if not remaining:
                    return
            except NoResponse as error:
                reason = str(error)
        self._add_leftovers(path, kind, remaining, reason, was_listed)

    def _add_leftovers(self, path: str, kind: str, ids: set[str], reason: str, was_listed: bool = True) -> None:
        operation = "terminateVm" if path == INSTANCES_PATH else "deleteGroup"
        for id in sorted(ids):
            self.results.leftovers.append(Leftover(kind, id, self._removal_command(path, id)))
        if ids:
            self.results.add_remark(f"{operation}: not everything could be removed: {reason}")
        elif not was_listed:
            text = f"it is unknown whether a {kind} of this run remains ({reason}); its name would contain {self.mark}"
            self.results.add_remark(text)
            self.results.leftovers.append(Leftover(kind, f"any named {self.mark}", self._curl(path)))

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
        """Return our instances that are not yet terminating.

        One that is not found counts as remaining: it may not be listed yet.
        """
        self.instances |= {str(item.get("instance_id")) for item in self._list(INSTANCES_PATH) if self._is_marked(item)}
        for id in self.instances - self.terminated:
            body = self.client.request("GET", INSTANCES_PATH, id_query(id)).body
            if isinstance(body, dict) and str(body.get("instance_state")) in TERMINATION_STATES:
                self.terminated.add(id)
        return self.instances - self.terminated

    def _remaining_groups(self) -> set[str]:
        """Return our groups. A known one counts until its removal was accepted: it may not be listed yet."""
        listed = {str(item.get("id")) for item in self._list(GROUPS_PATH) if self._is_marked(item)}
        return listed | self.groups

    def _is_marked(self, item: dict[str, Any]) -> bool:
        return any(self.mark in str(item.get(key)) for key in ("name", "external_id"))

    def _list(self, path: str) -> list[dict[str, Any]]:
        exchange = self.client.request("GET", path)
        if not isinstance(exchange.body, list):
            raise NoResponse(f"GET {path} returns no list: {exchange.message or exchange.status}")
        return [item for item in exchange.body if isinstance(item, dict)]

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

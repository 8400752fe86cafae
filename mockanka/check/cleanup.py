"""What a run made, and its removal: also when it was interrupted, and when the connection breaks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from mockanka.check.consistency import INSTANCES
from mockanka.check.results import Left, Results
from mockanka.check.transitions import ENDING
from mockanka.contract.exchange import Exchange
from mockanka.remote.client import Remote, Unanswered

GROUPS = "/api/v1/group"
PREFIX = "mockanka-check-"
"""What every name and external id begins with that a run gives."""
ATTEMPTS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt."""
LIMIT = 60.0
"""Seconds that a removal has, whatever the run had."""
NOT_FOUND = "Not found"
PAUSE = 1.0
"""Seconds until one looks for what a request made that nobody answered."""


class Leftovers:
    """What is there because of this run. Everything has ``mark`` in its name and its external id."""

    def __init__(self, remote: Remote, results: Results, sleep: Callable[[float], None]) -> None:
        self.remote, self.results, self.sleep = remote, results, sleep
        self.mark = PREFIX + uuid4().hex[:8]
        self.instances: set[str] = set()
        self.ended: set[str] = set()
        """Of the instances those whose termination was taken."""
        self.groups: set[str] = set()
        self.asked: set[str] = set()
        """Paths at which something may have been made."""

    def remove(self) -> None:
        """Remove all of it; what cannot be is told in the results."""
        if not self.asked:
            return
        self.remote.allow(LIMIT)
        try:
            self._remove(INSTANCES, "instance", self._instances, self._terminate)
            self._remove(GROUPS, "group", self._groups, self._delete)
        except KeyboardInterrupt:
            self._tell(INSTANCES, "instance", self.instances - self.ended, "interrupted")
            self._tell(GROUPS, "group", self.groups, "interrupted")

    def _remove(self, path: str, kind: str, there: Callable[[], set[str]], one: Callable[[str], Exchange]) -> None:
        if path not in self.asked:
            return
        left = set(self.instances if path == INSTANCES else self.groups)
        why = ""
        looked = False
        for pause in ATTEMPTS:
            self.sleep(pause)
            try:
                left = there()
                if not left and not looked:
                    # What was sent and not answered may be on its way still.
                    self.sleep(PAUSE)
                    left = there()
                looked = True
                for id in sorted(left):
                    exchange = one(id)
                    why = exchange.message or f"HTTP {exchange.status}"
                if left:
                    left = there()
                if not left:
                    return
            except Unanswered as wrong:
                why = str(wrong)
        self._tell(path, kind, left, why, looked)

    def _tell(self, path: str, kind: str, left: set[str], why: str, looked: bool = True) -> None:
        operation = "terminateVm" if path == INSTANCES else "deleteGroup"
        for id in sorted(left):
            self.results.left.append(Left(kind, id, self._command(path, id)))
        if left:
            self.results.remarks.append(f"{operation}: what was made is still there: {why}")
        elif not looked:
            text = f"whether a {kind} is left is not known ({why}); those of this run have {self.mark} in their name"
            self.results.remarks.append(text)
            self.results.left.append(Left(kind, f"any named {self.mark}", self._listing(path)))

    def _terminate(self, id: str) -> Exchange:
        exchange = self.remote.ask("DELETE", INSTANCES, body={"id": id})
        if exchange.succeeded:
            self.ended.add(id)
        return exchange

    def _delete(self, id: str) -> Exchange:
        exchange = self.remote.ask("DELETE", GROUPS, f"id={quote(id, safe='')}")
        if exchange.succeeded or exchange.message == NOT_FOUND:
            self.groups.discard(id)
        return exchange

    def _instances(self) -> set[str]:
        """Those of ours that are not known to be on their way out; whom nobody finds may only be late in the list."""
        self.instances |= {str(each.get("instance_id")) for each in self._listed(INSTANCES) if self._marked(each)}
        for id in self.instances - self.ended:
            body = self.remote.ask("GET", INSTANCES, f"id={quote(id, safe='')}").body
            if isinstance(body, dict) and body.get("instance_state") in ENDING:
                self.ended.add(id)
        return self.instances - self.ended

    def _groups(self) -> set[str]:
        """Those of ours; a list may lag, so each that we know of counts until a removal was taken."""
        listed = {str(each.get("id")) for each in self._listed(GROUPS) if self._marked(each)}
        return listed | self.groups

    def _marked(self, thing: dict[str, Any]) -> bool:
        return any(self.mark in str(thing.get(key)) for key in ("name", "external_id"))

    def _listed(self, path: str) -> list[dict[str, Any]]:
        exchange = self.remote.ask("GET", path)
        if not isinstance(exchange.body, list):
            raise Unanswered(f"GET {path} is no list: {exchange.message or exchange.status}")
        return [each for each in exchange.body if isinstance(each, dict)]

    def _command(self, path: str, id: str) -> str:
        if path == GROUPS:
            return self._curl(f"{path}?id={quote(id, safe='')}", "-X", "DELETE")
        return self._curl(path, "-X", "DELETE", "-d", json.dumps({"id": id}))

    def _listing(self, path: str) -> str:
        return self._curl(path)

    def _curl(self, path: str, *options: str) -> str:
        """A command for a person, with how to get in, but never with a secret."""
        access = self.remote.access
        parts = ["curl", *options]
        if access.token is not None:
            parts += ["-u", "root:TOKEN"]
        for option, file in (("--cert", access.cert), ("--key", access.key), ("--cacert", access.ca)):
            parts += [option, str(file)] if file is not None else []
        parts += ["-k"] if access.insecure else []
        for name, _ in access.headers:
            parts += ["-H", f"{name}: ..."]
        return shlex.join([*parts, f"{str(self.remote.url).rstrip('/')}{path}"])

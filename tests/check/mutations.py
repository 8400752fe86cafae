"""Random changes of types in the responses of a simulated controller."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

from mockanka.contract.exchange import Exchange

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 39.0, 1e308, 2**63, 10**400, "", "id", "\ud800", "\x1b[2J\x9b\n", "9" * 5000),
    *([], ["id"], [[]], [None], [{}], {}, {"id": []}, {"id": "x", "name": {}}, {"": {"": []}}),
)
"""Values of every type, and some at the edge of one."""


class TypeMutations:
    """Alters responses: in a share of them, some values are replaced by values of other types or removed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.share = self.random.choice((0.02, 0.2, 1.0))
        self.number = self.random.choice((1, 1, 3, 20))
        """Values that are changed in a response."""

    def __call__(self, exchange: Exchange) -> Exchange:
        if self.random.random() >= self.share:
            return exchange
        envelope = exchange.envelope
        if envelope is None:
            return exchange
        for _ in range(self.number):
            self._mutate(envelope)
        return replace(exchange, response_content=json.dumps(envelope).encode() + b"\n")

    def _mutate(self, value: Any) -> None:
        """Change a value at a random place within an object or a list."""
        while True:
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            if not keys:
                return
            key = self.random.choice(keys)
            child = value[key]
            if not isinstance(child, dict | list) or not child or self.random.random() < 0.15:
                break
            value = child
        if self.random.random() < 0.2:
            del value[key]
        else:
            value[key] = self.random.choice(ODD_VALUES)

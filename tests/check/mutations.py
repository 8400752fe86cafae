"""Random changes of types in the responses of a simulated controller."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from mockanka.contract.conformance import contract_of
from mockanka.contract.exchange import Exchange
from mockanka.core.release import DEFAULT_RELEASE

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 39.0, 1e308, 2**63, 10**400, "", "id", "\ud800", "\x1b[2J\x9b\n", "9" * 5000),
    *([], ["id"], [[]], [None], [{}], {}, {"id": []}, {"id": "x", "name": {}}, {"": {"": []}}),
)
"""Values of every type, and some at the edge of one."""


@cache
def property_names() -> list[str]:
    """Return the names of all properties in the contract, in their order."""
    document = json.dumps(contract_of(DEFAULT_RELEASE).document["components"]["schemas"])
    names: dict[str, None] = {}

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        names.update(dict.fromkeys(value.get("properties", {})))
        return value

    json.loads(document, object_pairs_hook=collect)
    return list(names)


class TypeMutations:
    """Alters responses. The seed selects one of two ways.

    Either all responses have an odd value at each key of one name, or they lack the key; or values at random places of
    a share of the responses are replaced or removed.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.key = self.random.choice(property_names()) if self.random.random() < 0.5 else None
        self.value = self.random.choice((..., *ODD_VALUES))
        self.share = self.random.choice((0.02, 0.2, 1.0))
        self.number = self.random.choice((1, 1, 3, 20))
        """Values that are changed in a response."""

    def __call__(self, exchange: Exchange) -> Exchange:
        envelope = exchange.envelope
        if envelope is None or (self.key is None and self.random.random() >= self.share):
            return exchange
        if self.key is not None:
            envelope = self._with_odd_key(envelope)
        else:
            for _ in range(self.number):
                body = envelope.get("body")
                self._mutate(body if isinstance(body, dict | list) and self.random.random() < 0.8 else envelope)
        return replace(exchange, response_content=json.dumps(envelope).encode() + b"\n")

    def _with_odd_key(self, value: Any) -> Any:
        """Return the value with the odd value at each key of the name, or without the key if that is ``...``."""
        if isinstance(value, list):
            return [self._with_odd_key(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: self.value if key == self.key else self._with_odd_key(item)
            for key, item in value.items()
            if key != self.key or self.value is not ...
        }

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
            value[key] = deepcopy(self.random.choice(ODD_VALUES))

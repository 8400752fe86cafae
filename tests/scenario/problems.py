"""The problems that loading a scenario reports, and a small inventory for scenarios that have some."""

import pytest

from mockanka.scenario import Scenario, ScenarioError

INVENTORY = """\
templates:
  - name: os
    id: T1
    versions:
      - {tag: base, size: 10GB}
      - {tag: tools, size: 5GB}
  - {name: bare}
nodes:
  - {name: mini, id: N1, capacity: 1, usb: [phone]}
  - {name: maxi, id: N2, cached: ["os:base"]}
groups:
  - {name: ios, id: G1}
"""
"""Twelve lines that are right; what follows them stands from line 13 on."""


def problems_of(text: str) -> list[str]:
    """The problems of a scenario in a file ``w.yaml``, while it is read or while its controller is built."""
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(text, "w.yaml").controller()
    return raised.value.problems

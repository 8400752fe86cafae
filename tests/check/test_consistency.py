"""Consistency of the responses over time, one exchange after another."""

from __future__ import annotations

import json

import pytest

from mockanka.check.consistency import ConsistencyMonitor
from mockanka.check.results import Results
from mockanka.contract.conformance import contract_of
from mockanka.contract.exchange import Exchange
from mockanka.contract.paths import INSTANCES_PATH
from mockanka.core.release import DEFAULT_RELEASE


@pytest.mark.parametrize(("nodes", "expected"), [(("a", "a"), ["progress"]), (("a", "b"), [])])
def test_progress_may_fall_with_another_node_only(nodes: tuple[str, str], expected: list[str]) -> None:
    """A start that is retried on another node pulls from the beginning."""
    results = Results(contract_of(DEFAULT_RELEASE), "", "")
    monitor = ConsistencyMonitor(results)
    for node_id, progress in zip(nodes, (0.5, 0.1), strict=True):
        instance = {"instance_state": "Pulling", "node_id": node_id, "progress": progress}
        content = json.dumps({"status": "OK", "message": "", "body": instance}).encode()
        monitor.observe(Exchange("GET", INSTANCES_PATH, "id=x", response_content=content), "listVms", "GET")

    assert expected == [check_result.check for check_result in results.with_outcome("failed")]

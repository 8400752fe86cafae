"""Checks of a controller that changes while it is read."""

from __future__ import annotations

import httpx
import pytest

from mockanka.check.read_checks import check_node_counters
from mockanka.check.results import Results
from mockanka.check.session import Session
from mockanka.contract.conformance import contract_of
from mockanka.contract.paths import NODES_PATH
from mockanka.core.release import DEFAULT_RELEASE
from tests.check.simulated import PACE, SimulatedController, failures


class EmptyingController(SimulatedController):
    """A controller whose instances vanish when its nodes are requested."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == NODES_PATH:
            for id in list(self.controller.instances):
                self.simulator.act_on_instance(id, "vanish")
        return super().handle_request(request)


@pytest.mark.parametrize("controller_type", [SimulatedController, EmptyingController])
def test_only_vms_that_are_listed_before_and_after_count(controller_type: type[SimulatedController]) -> None:
    """A VM that ends while the nodes are requested need not be in their counters."""
    simulated = controller_type()
    contract = contract_of(DEFAULT_RELEASE)
    results = Results(contract, "", "")
    instances = len(simulated.controller.instances)
    check_node_counters(Session(simulated.client(), contract, results, simulated.sleep, PACE))

    assert (1, []) == (instances, failures(results))
    assert "passed" == results.check_results["listNodes", "node-counters"].outcome

"""Requests that schemathesis makes from the document are answered as it describes, at each release."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

import hypothesis
import pytest
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import stateful

from mockanka.units import SECOND
from tests.conftest import FULL, examples
from tests.contracts import RELEASES
from tests.openapi.controller_document.checked_controller import (
    FIRST_AND_LAST,
    OLD,
    ROUNDS,
    SHORT_PHASES,
    UNIT_PHASES,
    CheckedController,
    Falsify,
    ReleaseExchange,
    contract_at,
    find_failures,
    schema_for,
)
from tests.openapi.controller_document.falsified import list_for_an_id, with_null_body


def missing_outcomes(checked: CheckedController) -> dict[str, list[str]]:
    """Return what has not happened yet with each operation: success, each shape of its response, and failure.

    An operation with a body or a required parameter can fail; others never do.
    """
    missing = {}
    for (method, _), operation in contract_at(checked.release).operations.items():
        name = operation["operationId"]
        outcomes = [
            f"shape {key}"
            for key in contract_at(checked.release).query_shapes(operation)
            if not checked.shapes[name, key]
        ]
        outcomes += ["OK"] if not checked.outcomes[name, "OK"] else []
        outcomes += ["FAIL"] if method != "GET" and name != "updateNodes" and not checked.outcomes[name, "FAIL"] else []
        if outcomes:
            missing[name] = outcomes
    return missing


@pytest.mark.parametrize("release", RELEASES)
def test_every_operation_conforms_to_the_document(release: str) -> None:
    """Examples, edge cases and random requests find no failure, and every operation succeeds for some of them."""
    checked = CheckedController(release)
    # The edge cases of all fields are tested at the first release and the last.
    edges = FULL or release in FIRST_AND_LAST
    count = examples(25 if release in FIRST_AND_LAST else 10, 50)
    found = set(find_failures(schema_for(checked, UNIT_PHASES if edges else SHORT_PHASES, count)))
    # Operations that lack an outcome get more requests, with other seeds.
    for seed in range(21, 21 + ROUNDS):
        if operation_ids := list(missing_outcomes(checked)):
            found |= set(find_failures(schema_for(checked, ["fuzzing"], 25, seed).include(operation_id=operation_ids)))

    assert sorted(found) == []
    assert {} == missing_outcomes(checked)
    # The edge cases include unknown methods of a path.
    assert ({405} if edges else set()) == set(checked.unknown_statuses)
    failed = {name for name, status in checked.outcomes if status == "FAIL"}
    assert set() == {"getStatus", "listGroups", "listUsbDevices", "getRegistryDisk"} & failed
    assert (
        sum(len(contract_at(release).query_shapes(operation)) for operation in contract_at(release).operations.values())
        >= 10
    )


def follow_links(checked: CheckedController, seed: int = 0) -> tuple[Counter[tuple[str, str]], set[str]]:
    """Let schemathesis follow links; return how often each had which outcome, and the outcomes of their sources."""
    followed: Counter[tuple[str, str]] = Counter()
    sources: set[str] = set()
    # By default schemathesis never begins with an operation that takes an id which no operation seems to return.
    with patch.object(stateful, "is_likely_root_transition", lambda operation, *_: operation.method == "post"):
        machine: Any = schema_for(checked, ["stateful"], 25).as_state_machine()

    class LinkMachine(machine):  # type: ignore[misc]
        def setup(self) -> None:
            checked.reset()

        def _get_target_for_result(self, result: Any) -> str | None:
            # At 1.8.0 a FAIL comes with 200 as well, and has no body for a link to take anything from.
            found: str | None = super()._get_target_for_result(result)
            return found if checked.last.outcome["status"] == "OK" else None

        def step(self, input: Any) -> Any:
            output = super().step(input)
            if input.is_applied:
                _, name, _ = input.transition.id.split(" -> ")
                followed[name.removeprefix("[200] "), checked.last.outcome["status"]] += 1
                sources.add(self.recorder.find_response(case_id=input.transition.parent_id).json()["status"])
            return output

    hypothesis.seed(seed)(LinkMachine)
    LinkMachine.run(
        settings=hypothesis.settings(
            max_examples=examples(25, 60),
            stateful_step_count=10,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
    )
    return followed, sources


@pytest.mark.parametrize("release", RELEASES if FULL else FIRST_AND_LAST)
def test_links_lead_from_response_to_response(release: str) -> None:
    """Every link is followed with success: what one response names the next request finds."""
    checked = CheckedController(release, step=25 * SECOND)
    links = {
        name
        for operation in contract_at(release).operations.values()
        for name in operation["responses"]["200"].get("links", {})
    }
    followed: set[str] = set()
    for seed in range(ROUNDS):
        if links - followed:
            found, sources = follow_links(checked, seed)
            followed |= {name for name, status in found if status == "OK"}

            assert {"OK"} == sources

    assert links == followed


@pytest.mark.parametrize(
    ("falsify", "complaint"), [(list_for_an_id, "the shape for id"), (with_null_body, "violates schema")]
)
def test_a_falsified_response_behind_a_link_is_found(falsify: Falsify, complaint: str) -> None:
    """The checks also look at the responses that links lead to."""

    def falsify_by_id(exchange: ReleaseExchange) -> ReleaseExchange:
        return falsify(exchange) if exchange.parameters.get("id") and exchange.outcome["status"] == "OK" else exchange

    with pytest.raises(FailureGroup) as caught:
        follow_links(CheckedController(OLD, step=25 * SECOND, falsify=falsify_by_id))

    assert complaint in " ".join(str(failure) for failure in caught.value.exceptions).lower()

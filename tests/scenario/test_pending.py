"""Pending events of a dump: unknown kinds and missing keys are refused."""

import pytest

from tests.scenario.problems import problems_of

UNKNOWN = {
    'pending: [{at: "2024-01-01T00:00:00Z", event: instance_qeued, id: x}]': (
        "w.yaml:1: pending[0].event: unknown kind 'instance_qeued', did you mean 'instance_queued'?"
    ),
    'pending: [{at: "2024-01-01T00:00:00Z", event: instance_queued, id: x}]': (
        "w.yaml:1: pending[0].event: instance_queued needs 'step'"
    ),
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_event_that_cannot_be_read_is_refused(text: str) -> None:
    """An unknown kind or a missing key is named with the line of the event."""
    assert [UNKNOWN[text]] == problems_of(text)

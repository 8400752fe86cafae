"""The checks of responses find those that are falsified."""

from __future__ import annotations

import pytest

from tests.conftest import FULL
from tests.contracts import RELEASES
from tests.openapi.controller_document.checked_controller import (
    NEW,
    OLD,
    CheckedController,
    Falsify,
    failing_checks,
)
from tests.openapi.controller_document.falsified import (
    always_invalid,
    always_success,
    full_list_for_v1,
    list_for_an_id,
    null_for_the_list,
    one_for_the_list,
    with_null_body,
    with_null_message,
    with_status_503,
    with_wrong_status,
)

FALSIFIED: list[tuple[str, Falsify, str]] = [
    ("startVms", always_success, "envelope_conforms_to_request"),
    ("updateVm", always_success, "envelope_conforms_to_request"),
    ("terminateVm", always_success, "envelope_conforms_to_request"),
    ("configureNode", always_success, "envelope_conforms_to_request"),
    ("addNodesToGroups", always_success, "envelope_conforms_to_request"),
    ("revertTemplate", always_success, "envelope_conforms_to_request"),
    ("deleteGroup", always_success, "envelope_conforms_to_request"),
    ("saveImage", always_invalid, "envelope_conforms_to_request"),
    ("createGroup", always_invalid, "envelope_conforms_to_request"),
    ("listUsbDevices", always_invalid, "envelope_conforms_to_request"),
    ("startVms", with_wrong_status, "envelope_conforms_to_request"),
    ("listVms", list_for_an_id, "shape_conforms_to_query"),
    ("listTemplates", list_for_an_id, "shape_conforms_to_query"),
    ("listDistributions", list_for_an_id, "shape_conforms_to_query"),
    ("listSaveImages", list_for_an_id, "shape_conforms_to_query"),
    ("listVms", one_for_the_list, "shape_conforms_to_query"),
    ("listVms", with_null_message, "response_schema_conformance"),
    ("createGroup", with_null_message, "response_schema_conformance"),
    ("terminateVm", with_null_body, "response_schema_conformance"),
    ("getStatus", with_null_message, "response_schema_conformance"),
]


FALSIFIED_AT_NEWEST: list[tuple[str, Falsify, str]] = [
    ("restartVm", always_success, "envelope_conforms_to_request"),
    ("removeTemplateFromNodes", always_success, "envelope_conforms_to_request"),
    ("cancelDistribution", always_success, "envelope_conforms_to_request"),
    ("updateNodes", always_invalid, "envelope_conforms_to_request"),
    ("updateNodes", with_null_body, "response_schema_conformance"),
    ("listVlans", null_for_the_list, "response_schema_conformance"),
    ("getRegistryDisk", with_null_message, "response_schema_conformance"),
    ("listTemplates", full_list_for_v1, "shape_conforms_to_query"),
    ("getReadyz", with_status_503, "envelope_conforms_to_request"),
]


# The checks read the HTTP status, so rows of the releases before 1.20 and of later ones are needed.
ROWS = [
    *((OLD, *row) for row in FALSIFIED),
    *((release, *row) for release in RELEASES[1:-1] if FULL for row in FALSIFIED),
    *((NEW, *row) for row in [*FALSIFIED[::3], *FALSIFIED_AT_NEWEST]),
]


@pytest.mark.parametrize(("release", "operation_id", "falsify", "check"), ROWS)
def test_a_falsified_response_is_found(release: str, operation_id: str, falsify: Falsify, check: str) -> None:
    """A response that is falsified in one way is found by the check for it."""
    assert check in failing_checks(CheckedController(release, falsify=falsify), operation_id)

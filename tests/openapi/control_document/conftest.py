"""Fixtures of the tests of the control API's document."""

import pytest

from tests.openapi.control_document.example_simulator import ExampleSimulator, example_simulator


@pytest.fixture
def example() -> ExampleSimulator:
    """The simulator in the state of the examples."""
    example_simulator().restore()
    return example_simulator()

"""GET status."""

import re

import pytest

from tests.api.client import NEW, OLD, office, world


def test_status_has_its_five_keys_in_order() -> None:
    """The status is that of a running controller with its registry, in the order of the wire."""
    body = office().get("status")

    assert list(body) == ["status", "version", "registry_address", "registry_status", "license"]
    assert (
        body["status"],
        body["registry_address"],
        body["registry_status"],
        body["license"],
    ) == ("Running", "http://anka.registry:8089", "Running", "enterprise plus")


@pytest.mark.parametrize("release", [OLD, "1.13.0", NEW])
def test_the_version_is_the_release_and_eight_digits(release: str) -> None:
    """The version is the release, a hyphen and eight hex digits, the same whenever it is asked for."""
    versions = [office(release).get("status")["version"] for _ in range(2)]

    assert re.fullmatch(re.escape(release) + "-[0-9a-f]{8}", versions[0])
    assert versions[0] == versions[1]


def test_registry_and_licence_are_those_of_the_scenario() -> None:
    """What the scenario says about the controller is what the status says."""
    body = world("controller: {license: basic, registry: 'https://elsewhere:443'}").get("status")

    assert (body["license"], body["registry_address"]) == ("basic", "https://elsewhere:443")

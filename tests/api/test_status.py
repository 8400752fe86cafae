"""GET status, and the probes."""

from __future__ import annotations

import re

import pytest

from tests.api.client import NEW, OLD, api_of, default_api


def test_status_has_its_five_keys_in_order() -> None:
    """The status has these keys in this order."""
    body = default_api().get("status")

    assert list(body) == ["status", "version", "registry_address", "registry_status", "license"]
    assert (
        body["status"],
        body["registry_address"],
        body["registry_status"],
        body["license"],
    ) == ("Running", "http://anka.registry:8089", "Running", "enterprise plus")


@pytest.mark.parametrize("release", [OLD, "1.13.0", NEW])
def test_the_version_is_the_release_and_eight_digits(release: str) -> None:
    """The version is the release, a hyphen and eight hex digits, which are always the same."""
    versions = [default_api(release).get("status")["version"] for _ in range(2)]

    assert re.fullmatch(re.escape(release) + "-[0-9a-f]{8}", versions[0])
    assert versions[0] == versions[1]


def test_registry_and_licence_are_those_of_the_scenario() -> None:
    """The status shows the licence and the registry that the scenario sets."""
    body = api_of("controller: {license: basic, registry: 'https://elsewhere:443'}").get("status")

    assert (body["license"], body["registry_address"]) == ("basic", "https://elsewhere:443")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_the_probes_answer_with_plain_text(path: str) -> None:
    """A probe answers 200 and a word (a guess)."""
    response = default_api(NEW).app.test_client().get(path)

    assert (200, b"ok\n", "text/plain; charset=utf-8") == (
        response.status_code,
        response.data,
        response.headers["Content-Type"],
    )

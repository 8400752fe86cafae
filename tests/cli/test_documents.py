"""The commands that print documents: ``openapi``, ``releases`` and ``fidelity``."""

import pytest
import yaml

from mockanka import resources
from mockanka.contract import document, fidelity_page
from mockanka.contract.releases_page import render_releases_page
from mockanka.core.release import DEFAULT_RELEASE, Release
from tests.cli.invoke import call


@pytest.mark.parametrize("release", [None, "1.8.0", "1.24", "1.51.2"])
def test_openapi_prints_the_contract_of_a_release(release: str | None) -> None:
    """``openapi`` prints the contract of the release in ``--release``, else of the default release."""
    result = call("openapi", *(["--release", release] if release else []))
    expected = document.at_release(document.load_document(), Release.parse(release) if release else DEFAULT_RELEASE)

    assert (0, "") == (result.exit_code, result.stderr)
    assert expected == yaml.safe_load(result.stdout)


def test_openapi_takes_the_release_from_the_environment() -> None:
    """MOCKANKA_RELEASE chooses the contract as it chooses the controller."""
    assert call("openapi", "--release", "1.24.0").stdout == call("openapi", MOCKANKA_RELEASE="1.24.0").stdout


def test_openapi_keeps_the_order_of_the_document() -> None:
    """Keys are printed in the document's order, so that two contracts can be compared line by line."""
    printed = yaml.safe_load(call("openapi").stdout)

    assert ["openapi", "info", "servers", "tags", "paths", "components"] == list(printed)
    assert ["uuid", "name", "cpu_cores"] == list(printed["components"]["schemas"]["VmInfo"]["properties"])[:3]


@pytest.mark.parametrize(("release", "known"), [("1.12.3", "1.12.0"), ("1.50.7", "1.50.1"), ("99.0", "1.51.2")])
def test_openapi_of_an_unknown_release_is_the_nearest_lower_one(release: str, known: str) -> None:
    """For an unknown release the contract of the next lower one is printed, with a note on standard error."""
    result = call("openapi", "--release", release)
    note = f"release {Release.parse(release)} is not known: what follows is {known}, the nearest lower one\n"

    assert (0, note) == (result.exit_code, result.stderr)
    assert call("openapi", "--release", known).stdout == result.stdout


@pytest.mark.parametrize("release", ["1.7.9", "latest", ""])
def test_openapi_refuses_a_wrong_release(release: str) -> None:
    """A text that is no release, or a release older than the oldest, ends with status 2."""
    result = call("openapi", "--release", release)

    assert (2, "") == (result.exit_code, result.stdout)
    assert "Invalid value for '--release'" in result.stderr


def test_openapi_prints_the_control_api_as_it_ships() -> None:
    """``--control`` prints the document of the control API unchanged."""
    assert resources.find_resource("openapi/control.yaml").read_text("utf-8") == call("openapi", "--control").stdout


def test_releases_prints_the_page() -> None:
    """``releases`` prints the page about releases and nothing else."""
    result = call("releases")

    assert (0, render_releases_page(), "") == (result.exit_code, result.stdout, result.stderr)


def test_fidelity_prints_the_page() -> None:
    """``fidelity`` prints the page about evidence and nothing else."""
    result = call("fidelity")

    assert (0, fidelity_page.render_fidelity_page(), "") == (result.exit_code, result.stdout, result.stderr)

"""``mockanka openapi``, ``releases`` and ``fidelity``: documents about the contract."""

from __future__ import annotations

import click

from mockanka import resources
from mockanka.cli.options import read_release
from mockanka.core.release import DEFAULT_RELEASE, Release


@click.command("openapi")
@click.option(
    "--release",
    metavar="RELEASE",
    callback=read_release,
    default=str(DEFAULT_RELEASE),
    envvar="MOCKANKA_RELEASE",
    show_default=True,
    help="Controller release to describe.",
)
@click.option("--control", is_flag=True, help="Print the document of the control API under /_mock instead.")
def openapi_command(release: Release, control: bool) -> None:
    """Print the contract of a release, an OpenAPI 3.1 document."""
    if control:
        click.echo(resources.find_resource("openapi/control.yaml").read_text("utf-8"), nl=False)
        return
    from mockanka.contract import document

    if release != release.known:
        click.echo(f"release {release} is not known: what follows is {release.known}, the nearest lower one", err=True)
    click.echo(document.document_to_yaml(document.at_release(document.load_document(), release.known)), nl=False)


@click.command("releases")
def releases_command() -> None:
    """Print what changed with which release, as a Markdown page."""
    from mockanka.contract.releases_page import render_releases_page

    click.echo(render_releases_page(), nl=False)


@click.command("fidelity")
def fidelity_command() -> None:
    """Print the evidence for each item of the contract, as a Markdown page."""
    from mockanka.contract.fidelity_page import render_fidelity_page

    click.echo(render_fidelity_page(), nl=False)

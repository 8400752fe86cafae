"""``mockanka scenario``: shows the scenarios that ship, and checks others."""

from __future__ import annotations

import json
import sys

import click

from mockanka import resources
from mockanka.cli.common import exit_with_error, print_message
from mockanka.cli.options import size_limit_options


@click.group("scenario")
def scenario_group() -> None:
    """Show the scenarios that ship, and check your own."""


@scenario_group.command("list")
def list_command() -> None:
    """List the scenarios that ship."""
    from mockanka.scenario import shipped

    for name in shipped():
        first_line = resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8").partition("\n")[0]
        click.echo(f"{name:<15} {first_line.removeprefix('# ')}")


@scenario_group.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """Print a scenario that ships."""
    from mockanka.scenario import ScenarioError, shipped
    from mockanka.scenario.source import nearest

    if name not in shipped():
        exit_with_error(str(ScenarioError([f"no scenario {name!r} ships: {nearest(name, shipped())}"])))
    click.echo(resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8"), nl=False)


@scenario_group.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@size_limit_options
def validate_command(files: tuple[str, ...], max_nodes: int | None, max_instances: int | None) -> None:
    """Check scenarios. Ends with status 2 if any is invalid.

    Every wrong key and value is named; if there is none, the first part that does not fit the rest.
    """
    from mockanka.scenario import Options, Scenario, ScenarioError

    options = Options(max_nodes=max_nodes, max_instances=max_instances)
    has_errors = False
    for name in files:
        try:
            notes = Scenario.find(name).controller(options).notes
            click.echo(f"{name}: ok")
            for note in notes:
                print_message(f"{name}: {note}")
        except ScenarioError as error:
            has_errors = True
            print_message(str(error))
    sys.exit(2 if has_errors else 0)


@scenario_group.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of scenarios, for editors."""
    from mockanka.scenario.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))

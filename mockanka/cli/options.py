"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockanka import units
from mockanka.core.release import DEFAULT_RELEASE, Release

if TYPE_CHECKING:
    from mockanka.remote.client import ClientOptions
    from mockanka.scenario.options import FaultOption
    from mockanka.simulator.client_report import Allowance

    _HeaderType = click.ParamType[tuple[str, str]]  # older releases of click have no such brackets
    _FaultType = click.ParamType[list[FaultOption]]
else:
    _HeaderType = _FaultType = click.ParamType

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FILE = click.Path(dir_okay=False, path_type=Path)
CONNECTION_OPTIONS = ("token", "cert", "key", "ca", "insecure", "header")
"""The parameters that ``connection_options`` adds, and ``take_connection`` takes."""


def read_release(ctx: click.Context, param: click.Parameter, value: str | None) -> Release | None:
    """Read a release such as ``1.50.1``."""
    try:
        return None if value is None else Release.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a duration such as ``10s``, in nanoseconds."""
    try:
        return None if value is None else units.parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def read_size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a size such as ``64MiB``, in bytes."""
    try:
        return None if value is None else units.parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def read_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a duration such as ``10s``, or a plain number of seconds, in seconds."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.replace(".", "", 1).isdigit() else units.parse_duration(value) / units.SECOND
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if not 0 < seconds < math.inf:
        raise click.BadParameter(f"{value} is no time: write it like 10s", ctx, param)
    return seconds


def read_speed(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Read the speed of a clock, a finite number."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no speed: write it like 60", ctx, param)
    return value


def read_finding_kinds(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Read kinds of findings of the client report, separated by commas."""
    from mockanka.simulator.client_report import parse_finding_kinds

    try:
        return None if value is None else parse_finding_kinds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def read_allowances(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> list[Allowance]:
    """Read findings that do not count; each value is a list separated by commas."""
    from mockanka.simulator.client_report import parse_allowances

    try:
        return [allowance for text in value for allowance in parse_allowances(text)]
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


class _Fault(_FaultType):
    """A fault rule, or a list of rules, in YAML; ``@FILE`` reads a file. The environment has one on each line."""

    name = "YAML"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[FaultOption]:
        from mockanka.scenario import ScenarioError
        from mockanka.scenario.options import read_fault_options

        try:
            if not value.startswith("@"):
                return read_fault_options(value, "fault")
            return read_fault_options(Path(value[1:]).read_text("utf-8"), value[1:])
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"{value[1:]} cannot be read: {error}", param, ctx)
        except ScenarioError as error:
            self.fail(str(error), param, ctx)


def join_lists(ctx: click.Context, param: click.Parameter, value: Sequence[list[Any]]) -> tuple[Any, ...]:
    """Return the items of the lists that a repeated option has."""
    return tuple(item for items in value for item in items)


def port_option(default: int) -> Decorator:
    """Return the option ``--port`` with that default."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=default,
        envvar="MOCKANKA_PORT",
        show_default=True,
        help="Port to listen on; 0 takes a free one.",
    )


def duration_option(name: str, default: str, text: str) -> Decorator:
    """Return an option for a duration, read in seconds."""
    variable = "MOCKANKA_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(
        name, metavar="DURATION", callback=read_seconds, default=default, envvar=variable, show_default=True, help=text
    )


SIZE_LIMIT_OPTIONS = [
    click.option(
        f"--max-{key}",
        type=click.IntRange(0),
        envvar=f"MOCKANKA_MAX_{key.upper()}",
        help=f"How many {key} a scenario may have; a larger one is refused.  [default: {default}]",
    )
    for key, default in (("nodes", 10_000), ("instances", 100_000))
]
"""The options for the largest scenario that is loaded."""

SERVING_OPTIONS = [
    click.option(
        "--host", default="127.0.0.1", envvar="MOCKANKA_HOST", show_default=True, help="Address to listen on."
    ),
    click.option(
        "--seed",
        type=click.IntRange(-(2**63), 2**63 - 1),
        envvar="MOCKANKA_SEED",
        help="Seed of all ids and draws.  [default: the scenario's, else 0]",
    ),
    click.option(
        "--release",
        metavar="RELEASE",
        callback=read_release,
        envvar="MOCKANKA_RELEASE",
        help=f"Controller release to simulate.  [default: the scenario's, else {DEFAULT_RELEASE}]",
    ),
    click.option(
        "--clock",
        type=click.Choice(["real", "manual", "step"]),
        envvar="MOCKANKA_CLOCK",
        help="real runs by itself, manual moves when told, step with each request.  "
        "[default: the scenario's, else real]",
    ),
    click.option(
        "--speed",
        type=click.FloatRange(0, 1e9, min_open=True),
        callback=read_speed,
        envvar="MOCKANKA_SPEED",
        help="How fast a real clock runs; 60 lets a minute pass each second.  [default: the scenario's, else 1]",
    ),
    click.option(
        "--step",
        metavar="DURATION",
        callback=read_duration,
        envvar="MOCKANKA_STEP",
        help="How far a step clock moves.  [default: the scenario's, else 5s]",
    ),
    click.option(
        "--fault",
        "faults",
        type=_Fault(),
        multiple=True,
        callback=join_lists,
        envvar="MOCKANKA_FAULT",
        help="Fault rule, tried before those of the scenario, or @FILE with rules; repeatable.",
    ),
    click.option(
        "--keep-secrets",
        is_flag=True,
        envvar="MOCKANKA_KEEP_SECRETS",
        help="Show cookies, tokens and the like in the journal; without it they are redacted.",
    ),
    click.option(
        "--journal-limit",
        metavar="SIZE",
        callback=read_size,
        envvar="MOCKANKA_JOURNAL_LIMIT",
        help="Memory for the journal, whose oldest requests are dropped.  [default: 64MiB]",
    ),
    *SIZE_LIMIT_OPTIONS,
    click.option(
        "--ready-file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="MOCKANKA_READY_FILE",
        help="File to write the ready line to as well.",
    ),
]
"""The options that serve and run have in common, in the order in which help shows them."""


def serving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that serve and run have in common."""
    return _with_options(SERVING_OPTIONS, function)


def size_limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the largest scenario that is loaded."""
    return _with_options(SIZE_LIMIT_OPTIONS, function)


class _Header(_HeaderType):
    """A header, ``NAME: VALUE``. In the environment, several headers are separated by line ends."""

    name = "'NAME: VALUE'"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from mockanka.remote.client import parse_header

        try:
            return parse_header(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of all commands that connect to a controller."""
    options = [
        click.option("--token", envvar="MOCKANKA_TOKEN", help="Root token; better set in the environment."),
        click.option(
            "--cert", type=FILE, envvar="MOCKANKA_CERT", help="Client certificate in PEM, with or without its key."
        ),
        click.option("--key", type=FILE, envvar="MOCKANKA_KEY", help="Key of the client certificate."),
        click.option(
            "--header", type=_Header(), multiple=True, envvar="MOCKANKA_HEADER", help="Header to send; repeatable."
        ),
        click.option("--ca", type=FILE, envvar="MOCKANKA_CA", help="Certificate in PEM to trust."),
        click.option("--insecure", is_flag=True, envvar="MOCKANKA_INSECURE", help="Trust any certificate."),
    ]
    return _with_options(options, function)


def _with_options(options: Sequence[Decorator], function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


def take_connection(options: dict[str, Any]) -> ClientOptions:
    """Take the values of ``connection_options`` out of the parameters of a command."""
    from mockanka.remote.client import ClientOptions

    values = {name: options.pop(name) for name in CONNECTION_OPTIONS}
    return ClientOptions(headers=values.pop("header"), **values)

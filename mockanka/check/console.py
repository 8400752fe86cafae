"""The output of a run on a terminal: progress while it runs, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mockanka.check.results import OUTCOMES, Cause, Finding, RequestTotals, Results
from mockanka.contract.conformance import Level
from mockanka.shown_text import escape

MAX_SHOWN_FINDINGS = 5
"""Findings of a check, and consequences of a finding, that are printed."""
READ_ONLY_HINT = "Starts, updates and removals were not checked: --write --template TEMPLATE checks them."
OUTCOME_STYLES = {"failed": "bold red", "noted": "yellow", "passed": "green", "skipped": "dim"}


class ProgressDisplay:
    """A progress bar on a terminal; nothing where the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
        hidden = not console.is_terminal
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=hidden)
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin_step(self, name: str, number: int, total: int) -> None:
        """Show that the step with this number, counted from 0, has begun."""
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(name, total=total)
        self._progress.update(self._task, description=name, completed=number, total=total)


def render_results(results: Results) -> RenderableType:
    """Return the table, the failed, noted and skipped checks, and the verdict."""
    parts: list[RenderableType] = [_table(results), *_render_causes(results), *_render_skips(results)]
    parts += [Text(f"broken off: {step.name}: {step.reason}", style="bold red") for step in results.broken_steps]
    for leftover in results.leftovers:
        parts.append(Text(f"not removed: {leftover.kind} {leftover.id}; remove it with", style="bold red"))
        parts.append(Text(f"  {leftover.command}"))
    parts += [Text(remark, style="yellow") for remark in results.remarks]
    parts.append(_verdict(results))
    if next_step := _next_step(results):
        parts.append(Text(next_step))
    return Group(*parts)


def _table(results: Results) -> Table:
    release, mode = results.contract.release, results.mode
    title = Text(f"{escape(results.url)} checked against release {release}, {mode}")
    table = Table(title=title, title_justify="left")
    table.add_column("Operation")
    for name in ("Requests", "Checks", "Failures", "Notes", "Time"):
        table.add_column(name, justify="right")
    for operation in results.operations:
        outcomes = [check_result.outcome for check_result in results.results_of(operation)]
        totals = results.request_totals.get(operation, RequestTotals())
        made = len(outcomes) - outcomes.count("skipped")
        failed, noted = outcomes.count("failed"), outcomes.count("noted")
        style = "failed" if failed else "noted" if noted else "passed" if made else "skipped"
        cells = [str(totals.requests), str(made), str(failed or ""), str(noted or ""), f"{totals.seconds:.2f} s"]
        table.add_row(Text(operation, style=OUTCOME_STYLES[style]), *cells)
    return table


def _render_causes(results: Results) -> Iterator[Text]:
    """Yield a heading for the findings of a check at the same operations, then a line for each of them."""
    groups: dict[tuple[str, tuple[str, ...], str], list[Finding]] = {}
    for cause in results.causes:
        outcome = "noted" if cause.finding.level is Level.NOTE else "failed"
        groups.setdefault((cause.check, cause.operations, outcome), []).append(cause.finding)
    for (check, operations, outcome), findings in groups.items():
        line = Text(f"{outcome} ", style=OUTCOME_STYLES[outcome])
        first, *others = operations
        more = f" and {len(others)} more operations" if len(others) > 1 else f" and {others[0]}" if others else ""
        line.append(f"{first} {check} ({findings[0].level}){more}", style="bold")
        if outcome == "failed" and (link := results.contract.link(first)):
            line.append(f" {link}", style="dim")
        yield line
        for finding in findings[:MAX_SHOWN_FINDINGS]:
            yield Text(f"  {finding}")
            for consequence in finding.consequences[:MAX_SHOWN_FINDINGS]:
                yield Text(f"    from which follows: {consequence}", style="dim")
            if (hidden := len(finding.consequences) - MAX_SHOWN_FINDINGS) > 0:
                yield Text(f"    and {hidden} more, which --json has", style="dim")
        if (hidden := len(findings) - MAX_SHOWN_FINDINGS) > 0:
            yield Text(f"  and {hidden} more, which --json has", style="dim")


def _render_skips(results: Results) -> Iterator[Text]:
    """Yield a line for each reason, with the checks that were skipped for it; consequences stand at their finding."""
    checks_by_reason: dict[str, list[str]] = {}
    for result in results.with_outcome("skipped"):
        if result.is_consequence:
            continue
        checks_by_reason.setdefault(result.skip_reason, []).append(f"{result.operation} {result.check}")
    for reason, checks in checks_by_reason.items():
        line = Text("skipped ", style=OUTCOME_STYLES["skipped"])
        yield line.append(f"{', '.join(checks)}", style="bold").append(f": {reason}", style="dim")


def _verdict(results: Results) -> Text:
    counts = ", ".join(f"{len(list(results.with_outcome(outcome)))} {outcome}" for outcome in OUTCOMES)
    if results.broken_off:
        return Text(f"The run did not finish: {results.broken_off} ({counts})", style="bold red")
    verdict = "It does not conform to the contract" if results.exit_status else "It conforms to the contract"
    return Text(f"{verdict}: {counts}", style=OUTCOME_STYLES["failed" if results.exit_status else "passed"])


def _next_step(results: Results) -> str:
    """Return the advice that follows the verdict; empty if the verdict itself says what to do, or nothing is to do."""
    if results.broken_steps:
        return "Please report this defect of mockanka, with the file that --json writes."
    if results.broken_off:
        return ""
    if results.leftovers:
        return "Remove what is left with the commands above."
    if results.exit_status:
        if ("getStatus", "release") in results.check_results and results.result_of("release", "getStatus").findings:
            return "The controller has another release than the given one: check it again without --release."
        hint = "clients may break on a must" if any(_is_must(cause) for cause in results.causes) else "no must failed"
        return (
            f"Look at the failures from the top ({hint}), each at its link in the contract. "
            "If the controller is right and the contract is wrong, please report it, with the file that --json writes."
        )
    return READ_ONLY_HINT if results.mode == "read-only" else ""


def _is_must(cause: Cause) -> bool:
    return cause.finding.level is Level.MUST

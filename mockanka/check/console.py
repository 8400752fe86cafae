"""The output of a run on a terminal: progress while it runs, and a table at the end."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mockanka.check.results import OUTCOMES, CheckResult, RequestTotals, Results

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
    parts: list[RenderableType] = [_table(results)]
    for outcome in ("failed", "noted", "skipped"):
        check_results = list(results.with_outcome(outcome))
        parts += [line for check_result in check_results for line in _render_check_result(check_result, results)]
    for leftover in results.leftovers:
        parts.append(Text(f"not removed: {leftover.kind} {leftover.id}; remove it with", style="bold red"))
        parts.append(Text(f"  {leftover.command}"))
    parts += [Text(remark, style="yellow") for remark in results.remarks]
    parts.append(_verdict(results))
    return Group(*parts)


def _table(results: Results) -> Table:
    release, mode = results.contract.release, results.mode
    table = Table(title=f"{results.url} checked against release {release}, {mode}", title_justify="left")
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


def _render_check_result(check_result: CheckResult, results: Results) -> list[Text]:
    line = Text(f"{check_result.outcome} ", style=OUTCOME_STYLES[check_result.outcome])
    line.append(f"{check_result.operation} {check_result.check} ({check_result.level})", style="bold")
    if check_result.outcome == "skipped":
        return [line.append(f": {check_result.skip_reason}", style="dim")]
    if check_result.outcome == "failed" and (link := results.contract.link(check_result.operation)):
        line.append(f" {link}", style="dim")
    return [line, *(Text(f"  {finding}") for finding in check_result.findings)]


def _verdict(results: Results) -> Text:
    counts = ", ".join(f"{len(list(results.with_outcome(outcome)))} {outcome}" for outcome in OUTCOMES)
    if results.broken_off:
        return Text(f"The run did not finish: {results.broken_off} ({counts})", style="bold red")
    verdict = "It does not conform to the contract" if results.exit_status else "It conforms to the contract"
    return Text(f"{verdict}: {counts}", style=OUTCOME_STYLES["failed" if results.exit_status else "passed"])

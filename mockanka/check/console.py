"""A run for people: progress while it runs, and a table at the end."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mockanka.check.results import Asked, Results, Row

STYLES = {"failed": "bold red", "noted": "yellow", "passed": "green", "skipped": "dim"}


class Shown:
    """Progress on a terminal; where there is none, nothing."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
        hidden = not console.is_terminal
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=hidden)
        self._task: TaskID | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, name: str, step: int, of: int) -> None:
        """A step has begun."""
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(name, total=of)
        self._progress.update(self._task, description=name, completed=step, total=of)


def rendered(results: Results) -> RenderableType:
    """The table, what failed and what is worth knowing, and the verdict."""
    parts: list[RenderableType] = [_table(results)]
    for outcome in ("failed", "noted", "skipped"):
        rows = list(results.of(outcome))
        parts += [line for row in rows for line in _told(row, results)]
    for each in results.left:
        parts.append(Text(f"left behind: {each.kind} {each.id}; remove it with", style="bold red"))
        parts.append(Text(f"  {each.command}"))
    parts += [Text(each, style="yellow") for each in results.remarks]
    parts.append(_verdict(results))
    return Group(*parts)


def _table(results: Results) -> Table:
    release, mode = results.contract.release, results.mode
    table = Table(title=f"{results.url} held against release {release}, {mode}", title_justify="left")
    table.add_column("Operation")
    for name in ("Requests", "Checks", "Failures", "Notes", "Time"):
        table.add_column(name, justify="right")
    for operation in results.operations:
        rows = results.rows_of(operation)
        asked = results.asked.get(operation, Asked())
        made = [row for row in rows if row.outcome != "skipped"]
        failed, noted = (sum(row.outcome == outcome for row in rows) for outcome in ("failed", "noted"))
        style = "failed" if failed else "noted" if noted else "passed" if made else "skipped"
        cells = [str(asked.requests), str(len(made)), str(failed or ""), str(noted or ""), f"{asked.seconds:.2f} s"]
        table.add_row(Text(operation, style=STYLES[style]), *cells)
    return table


def _told(row: Row, results: Results) -> list[Text]:
    line = Text(f"{row.outcome} ", style=STYLES[row.outcome])
    line.append(f"{row.operation} {row.check} ({row.level})", style="bold")
    if row.outcome == "skipped":
        return [line.append(f": {row.skipped}", style="dim")]
    lines = [line]
    if row.outcome == "failed" and (link := results.contract.link(row.operation)):
        line.append(f" {link}", style="dim")
    lines += [Text(f"  {each}") for each in row.findings]
    return lines


def _verdict(results: Results) -> Text:
    outcomes = ("passed", "failed", "noted", "skipped")
    counts = ", ".join(f"{len(list(results.of(outcome)))} {outcome}" for outcome in outcomes)
    if results.broken_off:
        return Text(f"The run did not get to its end: {results.broken_off} ({counts})", style="bold red")
    words = "It does not keep to the contract" if results.status else "It keeps to the contract"
    return Text(f"{words}: {counts}", style=STYLES["failed" if results.status else "passed"])

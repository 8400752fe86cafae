"""The files that ``mockanka run`` writes: the journal, the report, and its findings as a JUnit report."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockanka.cli.common import exit_with_error
from mockanka.output_files import is_replaceable, missing_folder, write_output

if TYPE_CHECKING:
    from mockanka.simulator.client_report import Allowance, ClientFinding, Report
    from mockanka.simulator.journal import JournalEntry
    from mockanka.simulator.simulator import Simulator


@dataclass(frozen=True)
class FindingRules:
    """The findings that count: those of some kinds, without those that are allowed."""

    kinds: Collection[str]
    allowances: Sequence[Allowance]

    def counted(self, report: Report) -> list[ClientFinding]:
        """Return the findings of a report that count."""
        return report.of_kinds(self.kinds, self.allowances)


class RunFiles:
    """The files of a run; those whose path is None are not written.

    ``journal`` has one JSON object a line: an entry as GET /_mock/requests shows it, and ``resets``, how many resets
    there were before it.
    """

    def __init__(self, journal: Path | None, report: Path | None, junit: Path | None) -> None:
        self.journal, self.report, self.junit = journal, report, junit
        self._problem = ""
        self._resets = 0
        self._written = 0
        """The number of the last entry, since the last reset, that is in the journal's file."""

    def prepare(self) -> None:
        """Begin an empty journal, and remove the other files of an earlier run. Ends with status 2 if that fails."""
        for option, file in (("--journal", self.journal), ("--report", self.report), ("--junit", self.junit)):
            if file is None:
                continue
            if folder := missing_folder(file):
                exit_with_error(f"{option}: there is no folder {folder}")
            try:
                if is_replaceable(file):
                    file.unlink(missing_ok=True)
                if option == "--journal":
                    file.touch()
            except OSError as error:
                exit_with_error(f"{option}: {file} cannot be written: {error.strerror}")

    def follow(self, simulator: Simulator) -> None:
        """Write to the journal's file what the simulator's journal has whenever that is about to be cleared."""
        if self.journal is not None:
            simulator.before_journal_cleared.append(lambda: self._append_all(simulator))
            simulator.before_entry_dropped.append(lambda entry: self._append([entry]))
            simulator.after_reset.append(self._count_reset)

    def write(
        self, simulator: Simulator, report: Report, rules: FindingRules, command: Sequence[str], status: int
    ) -> str:
        """Write all files at the end of a run, and return what went wrong, empty if nothing did."""
        if self.journal is not None:
            self._append_all(simulator)
        try:
            if self.report is not None:
                write_report(self.report, report, rules, command, status)
            if self.junit is not None:
                write_junit_report(self.junit, report, rules)
        except OSError as error:
            self._problem = f"cannot write {error.filename}: {error.strerror}"
        return self._problem

    def _append_all(self, simulator: Simulator) -> None:
        """Write all entries that are not in the file yet."""
        self._append([entry for entry in simulator.journal if entry.number > self._written])

    def _append(self, entries: Sequence[JournalEntry]) -> None:
        """Write some entries, oldest first; those that are in the file already are left out."""
        assert self.journal is not None
        entries = [entry for entry in entries if entry.number > self._written]
        if not entries:
            return
        lines = [json.dumps({"resets": self._resets, **entry.as_json()}) + "\n" for entry in entries]
        try:
            with self.journal.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            self._problem = f"cannot write {error.filename or self.journal}: {error.strerror}"
        self._written = entries[-1].number

    def _count_reset(self) -> None:
        self._resets += 1
        self._written = 0


def write_report(path: Path, report: Report, rules: FindingRules, command: Sequence[str], status: int) -> None:
    """Write the report as GET /_mock/report shows it, with the command, its status, and which findings count."""
    counted = rules.counted(report)
    data = {"command": list(command), "command_status": status, **report.as_json()}
    for finding, shown in zip(report.findings, data["findings"], strict=True):
        shown["counts"] = finding in counted
    write_output(path, json.dumps(data, indent=2) + "\n")


def write_junit_report(path: Path, report: Report, rules: FindingRules) -> None:
    """Write a test case for each finding, which fails if the finding counts, and one for each kind without findings."""
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

    from mockanka.check.junit import xml_text
    from mockanka.simulator.client_report import FINDING_KINDS

    counted = rules.counted(report)
    suite: Any = TestSuite("mockanka run")
    for kind in FINDING_KINDS:
        findings = report.of_kinds([kind])
        if not findings:
            suite.add_testcase(TestCase(f"no {kind}", kind))
        for finding in findings:
            case: Any = TestCase(xml_text(finding.message), kind)
            if finding in counted:
                failure: Any = Failure(xml_text(finding.message), kind)
                failure.text = xml_text(str(finding))
                case.result = [failure]
            else:
                case.result = [Skipped("does not count, by --strict-on or --allow")]
            suite.add_testcase(case)
    document: Any = JUnitXml("mockanka run")
    document.add_testsuite(suite)
    document.update_statistics()
    write_output(path, document.tostring().decode("utf-8"))

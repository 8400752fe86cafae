"""The report on a client: what it did wrong, each finding with the requests in question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

FINDING_KINDS: dict[str, str] = {
    "leaks": "instances that were started and left behind",
    "double-starts": "one external_id started twice while the first lived",
    "retried-starts": "starts sent again after an answer that was lost, though it had started something",
    "hammering": "polls that come faster than the report's rate",
    "unverified-terminations": "terminations that had no effect, after which nobody looked at the instance again",
    "terminated-polls": "polls of an instance after they were told that it is terminated",
    "leaked-connections": "connections that were opened for one request each, and left open",
    "unknown-ids": "calls on ids that never were",
    "unknown-fields": "fields and parameters that the release does not know",
    "deprecated-fields": "fields that went away before the release",
    "contract": "requests that break the contract of the release",
}
"""The kinds of findings, each with a description."""

FIELD_KINDS = ("unknown-ids", "unknown-fields", "deprecated-fields", "contract")
"""The kinds whose findings have a field: an id, a field or parameter, or, for the contract, a path."""

MAX_FINDING_REQUESTS = 20
"""Requests that a finding names; more of them are only counted."""


def parse_finding_kinds(text: str) -> list[str]:
    """Return the kinds that a list names, separated by commas or blanks; ``all`` stands for all of them.

    Raises ValueError if a word is not a kind.
    """
    words = [word.replace("_", "-") for word in text.replace(",", " ").split()]
    if "all" in words:
        return list(FINDING_KINDS)
    for word in words:
        if word not in FINDING_KINDS:
            raise ValueError(f"{word!r} is no kind of finding: there are {', '.join(FINDING_KINDS)}, and all")
    return words


class Allowance(NamedTuple):
    """Findings that do not count: all of a kind, or those of a kind about one field."""

    kind: str
    field: str = ""

    def covers(self, finding: ClientFinding) -> bool:
        """Return whether a finding is allowed."""
        return finding.kind == self.kind and self.field in ("", finding.field)


def parse_allowances(text: str) -> list[Allowance]:
    """Return the allowances of a list like ``leaks,unknown-fields:vnc``, separated by commas or blanks.

    Raises ValueError if a word is not a kind, or has a field although findings of that kind have none.
    """
    allowances = []
    for word in text.replace(",", " ").split():
        kind, colon, field_name = word.partition(":")
        kinds = parse_finding_kinds(kind)
        if colon and (not field_name or kind == "all"):
            raise ValueError(f"{word!r}: a kind and a field are written like unknown-fields:vnc")
        if colon and kinds[0] not in FIELD_KINDS:
            raise ValueError(f"{word!r}: {kinds[0]} have no field; those that have one are {', '.join(FIELD_KINDS)}")
        allowances += [Allowance(name, field_name) for name in kinds]
    return allowances


@dataclass
class ClientFinding:
    """Something that the client did wrong, once or several times.

    ``requests`` are the numbers of the first requests in question; ``count`` is how many there are in all. ``field`` is
    set for FIELD_KINDS.
    """

    kind: str
    message: str
    requests: list[int] = dataclass_field(default_factory=list)
    instance: str | None = None
    count: int = 0
    field: str = ""

    def count_request(self, number: int) -> None:
        """Add the request of that number."""
        self.count += 1
        if len(self.requests) < MAX_FINDING_REQUESTS:
            self.requests.append(number)

    def __str__(self) -> str:
        numbers = ", ".join(f"#{number}" for number in self.requests[:5])
        more = f" and {self.count - 5} more" if self.count > 5 else ""
        return f"{self.kind}: {self.message} ({numbers}{more})" if numbers else f"{self.kind}: {self.message}"


@dataclass(frozen=True, repr=False)
class Report:
    """A report of what the client did wrong, and which fault rules never fired.

    ``requests`` is the number of requests, ``dropped`` how many of them the journal no longer has, ``more`` the number
    of findings beyond the limit.
    """

    findings: list[ClientFinding]
    unused_faults: list[str]
    requests: int
    dropped: int
    more: int = 0

    @classmethod
    def merge(cls, reports: Sequence[Report]) -> Report:
        """Return the reports between resets as one; each finding after a reset says after which."""
        findings = [
            replace(finding, message=f"{finding.message}{f', after reset {number}' if number else ''}")
            for number, report in enumerate(reports)
            for finding in report.findings
        ]
        unused = [rule_id for report in reports for rule_id in report.unused_faults]
        return cls(
            findings,
            list(dict.fromkeys(unused)),
            sum(report.requests for report in reports),
            sum(report.dropped for report in reports),
            sum(report.more for report in reports),
        )

    def of_kinds(self, kinds: Collection[str], allowances: Sequence[Allowance] = ()) -> list[ClientFinding]:
        """Return the findings of some kinds, without those that are allowed."""
        return [
            finding
            for finding in self.findings
            if finding.kind in kinds and not any(allowance.covers(finding) for allowance in allowances)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the report as the control API shows it."""
        return asdict(self)

    def __repr__(self) -> str:
        counts = Counter(finding.kind for finding in self.findings)
        return f"<report: {', '.join(f'{count} {kind}' for kind, count in counts.items()) or 'no findings'}>"

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings] or ["no findings"]
        lines += [f"and {self.more} more"] if self.more else []
        lines += [f"fault {rule_id} never struck" for rule_id in self.unused_faults]
        requests = f"{self.requests} request{'s' * (self.requests != 1)}"
        requests += f", {self.dropped} of them dropped from the journal" if self.dropped else ""
        return "\n".join([f"mockanka report: {requests}", *(f"  {line}" for line in lines)])

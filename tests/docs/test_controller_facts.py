"""Every citation of controller-facts in the repository leads to an anchor of docs/controller-facts.md."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from mockanka.contract.evidence import EVIDENCE_GRADES
from tests.facts import FACTS_PAGE as PAGE
from tests.facts import anchors

ROOT = Path(__file__).parents[2]

SUFFIXES = {".cfg", ".go", ".java", ".js", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
SKIPPED_FOLDERS = {"build", "dist", "node_modules", "__pycache__"}

HEADING = re.compile(r'^#+ <a id="([^"]*)"></a>(\S+?)\.? ', re.MULTILINE)

NUMBERED = r"[A-H]\d{1,2}(?:\.\d{1,2})?\b"
SECTION = rf"(?:{NUMBERED}|[A-H]\b|0\.\d\b)"
LETTERED = rf"(?:{NUMBERED}|[A-H]\b)"
"""A section that can be told from a number; 0.1 to 0.3 need the page's name before them."""
GAP = r"(?:\s|#)+"
"""White space, also that between the lines of a comment."""
SEPARATOR = rf"(?:,{GAP}(?:and{GAP})?|{GAP}(?:and|to){GAP})"
REMARK = rf"(?:{GAP}\([^()]*\))?"

MAY_CITE = re.compile(rf"controller-facts|{NUMBERED}|\([A-H]\)|section{GAP}[A-H]\b|-evidence:")
"""A pattern that every file with a citation matches: others need not be tokenized."""
NAMED = re.compile(rf"\b(?:controller-facts|section){GAP}({SECTION}(?:{REMARK}{SEPARATOR}{SECTION})*)")
"""A citation in prose: ``controller-facts`` and sections, or ``section`` and a section."""
PARENTHESES = re.compile(r"\(([^()]*)\)")
BARE_LIST = re.compile(rf"{LETTERED}(?:{SEPARATOR}{LETTERED})*")
NUMBERED_LIST = re.compile(rf"{NUMBERED}(?:{SEPARATOR}{NUMBERED})*")
RANGE = re.compile(rf"([A-H])(\d+){GAP}to{GAP}\1(\d+)\b")
CELL = re.compile(rf"\|\s*({NUMBERED}(?:{SEPARATOR}{LETTERED})*)\s*(?=\|)")
REFERENCE = re.compile(r"\[([A-H]\d{1,2}(?:\.\d{1,2})?)\](?!\()")
LINK = re.compile(r"controller-facts\.md#([\w.-]+)")
LINK_WITHIN = re.compile(r"\]\(#([\w.-]+)\)")


STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
"""Tokens with text; from Python 3.12 on an f-string has tokens of its own."""


class Citation(NamedTuple):
    """A place that names a section of controller-facts, with the anchor that it leads to."""

    file: str
    line: int
    section: str

    @property
    def anchor(self) -> str:
        return self.section.lower()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: controller-facts has no section {self.section}"


def source_files(root: Path) -> Iterator[Path]:
    """Yield the text files of a source tree; hidden folders, builds and virtual environments are left out."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED_FOLDERS
            and not name.endswith(".egg-info")
            and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (here / name for name in sorted(names) if Path(name).suffix in SUFFIXES)


def citations(root: Path) -> list[Citation]:
    """Return every citation in the source tree, each once for its file and line."""
    found = [
        citation
        for path in source_files(root)
        for citation in citations_in(path.relative_to(root).as_posix(), path.read_text("utf-8"))
    ]
    return list(dict.fromkeys(found))


def missing(root: Path, known: Iterable[str]) -> list[str]:
    """Return a line with file, line and section for each citation that leads to no anchor."""
    return [str(citation) for citation in without_anchor(citations(root), known)]


def without_anchor(found: Iterable[Citation], known: Iterable[str]) -> list[Citation]:
    """Return the citations that lead to none of the known anchors."""
    known = set(known)
    return [citation for citation in found if citation.anchor not in known]


def citations_in(file: str, text: str) -> Iterator[Citation]:
    """Yield the citations of one file, by the rules for its kind."""
    yield from _matches(file, text, LINK)
    if not MAY_CITE.search(text):
        return
    has_parentheses = file.endswith((".py", ".md", ".yaml", ".yml"))
    for line, prose in _prose(file, text):
        yield from _matches(file, prose, NAMED, line)
        if has_parentheses:
            yield from _in_parentheses(file, prose, line)
    if file.endswith(".md"):
        yield from _matches(file, text, CELL)
        yield from _matches(file, text, REFERENCE)
    if file.endswith(PAGE.name):
        yield from _matches(file, text, LINK_WITHIN)
    if file.endswith((".yaml", ".yml")) and "-evidence:" in text:
        yield from _evidence(file, text)
    if file.endswith(".py") and file.startswith("mockanka/"):
        yield from _whole_literals(file, text)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _sections(text: str) -> list[str]:
    """Return the sections of a list; ``A1 to A4`` stands for all four."""
    spread = RANGE.sub(
        lambda ends: ", ".join(f"{ends[1]}{number}" for number in range(int(ends[2]), int(ends[3]) + 1)), text
    )
    return re.findall(rf"(?<![\w.]){SECTION}", re.sub(r"\(.*?\)", "", spread))


def _matches(file: str, text: str, pattern: re.Pattern[str], first_line: int = 1) -> Iterator[Citation]:
    for match in pattern.finditer(text):
        line = first_line + _line(text, match.start(1)) - 1
        is_anchor = pattern in (LINK, LINK_WITHIN)
        for section in [match[1].rstrip(".")] if is_anchor else _sections(match[1]):
            yield Citation(file, line, section)


def _in_parentheses(file: str, text: str, first_line: int) -> Iterator[Citation]:
    """Yield the citations such as ``(C3)``, ``(a guess: B19)`` and ``(A0.3; the release is a guess)``."""
    for match in PARENTHESES.finditer(text):
        for part in re.split("[;:]", match[1]):
            if BARE_LIST.fullmatch(part.strip(" \t\n#")):
                line = first_line + _line(text, match.start(1)) - 1
                yield from (Citation(file, line, section) for section in _sections(part))


def _prose(file: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the text that may cite, with its first line: comments and strings of Python, everything elsewhere.

    Lines of comments that follow each other are one text.
    """
    if not file.endswith(".py"):
        yield 1, text
        return
    comment: list[str] = []
    comment_line = 0
    for token in _tokens(text):
        if token.type == tokenize.COMMENT:
            if comment and token.start[0] == comment_line + len(comment):
                comment.append(token.string)
            else:
                if comment:
                    yield comment_line, "\n".join(comment)
                comment, comment_line = [token.string], token.start[0]
        elif token.type in STRINGS:
            yield token.start[0], token.string
    if comment:
        yield comment_line, "\n".join(comment)


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


def _whole_literals(file: str, text: str) -> Iterator[Citation]:
    """Yield the citations that are a whole string literal of the package, such as ``"A1, C16"``."""
    for token in _tokens(text):
        if token.type == tokenize.STRING and token.string[0] in "\"'":
            value = ast.literal_eval(token.string)
            if NUMBERED_LIST.fullmatch(value):
                yield from (Citation(file, token.start[0], section) for section in _sections(value))


def _evidence(file: str, text: str) -> Iterator[Citation]:
    """Yield what the lists under ``x-evidence``, ``x-enum-evidence`` and ``x-rule-evidence`` name but grades."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def walk(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if re.fullmatch(r"x-(\w+-)?evidence", str(key.value)):
                    yield from scalars(value)
                else:
                    yield from walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from walk(item)

    def scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
        if isinstance(node, yaml.ScalarNode):
            yield node
        else:
            for item in node.value:
                yield from scalars(item[1] if isinstance(node, yaml.MappingNode) else item)

    for scalar in walk(yaml.compose(text, Loader=loader)):
        if scalar.value not in EVIDENCE_GRADES:
            yield Citation(file, scalar.start_mark.line + 1, scalar.value)


CITATIONS = citations(ROOT)
ANCHORS = anchors(PAGE.read_text("utf-8"))


# The page.


def test_every_citation_leads_to_an_anchor() -> None:
    """Code, tests, documents, OpenAPI files and scenarios cite sections that the page has."""
    assert [] == list(map(str, without_anchor(CITATIONS, ANCHORS)))


def test_every_anchor_is_unique() -> None:
    """Every link leads to one place."""
    assert [] == [anchor for anchor, count in Counter(ANCHORS).items() if count > 1]


def test_a_heading_has_the_anchor_of_its_section() -> None:
    """The anchor is the section's name in lower case, and each heading of a section has one."""
    page = PAGE.read_text("utf-8")
    headings = HEADING.findall(page)
    numbered = re.findall(rf"^#+ (?:<a [^>]*></a>)?({SECTION})", page, re.MULTILINE)

    assert len(headings) > 100
    assert len(numbered) == len(headings)
    assert [] == [(anchor, section) for anchor, section in headings if anchor != section.lower()]


def test_citations_of_every_kind_are_found() -> None:
    """The search finds citations in Python, in the OpenAPI document and in pages, and sections of every kind."""
    by_suffix = Counter(Path(citation.file).suffix for citation in CITATIONS)
    sections = {citation.section for citation in CITATIONS}

    assert by_suffix[".py"] > 200
    assert by_suffix[".yaml"] > 400
    assert by_suffix[".md"] > 400
    assert {"0.3", "A2.6", "A27", "B4", "C14", "D", "D9", "E", "G"} <= sections


# The search itself.

MADE_UP = "A99"

FORMS = {
    "a docstring": ("one.py", '"""Return it.\n\nSource: controller-facts {}.\n"""\n', 3),
    "the second of a list": ("one.py", '"""Return it (controller-facts A1, {})."""\n', 1),
    "after a remark": ("one.py", '"""Return it: controller-facts A1 (keys, no body), {} (headers)."""\n', 1),
    "the end of a range": ("one.py", '"""Return it (controller-facts A1 to {})."""\n', 1),
    "a wrapped docstring": ("one.py", '"""Return it (controller-facts\n{}).\n"""\n', 2),
    "a wrapped comment": ("one.py", "x = 1\n# A reason, see controller-facts\n# {}.\n", 3),
    "parentheses": ("one.py", "x = 1\n\n# A reason ({}).\n", 3),
    "parentheses with a remark": ("one.py", "# A reason ({}; the release is a guess).\n", 1),
    "parentheses after a remark": ("one.py", "# A reason (a guess: {}).\n", 1),
    "a literal of the package": ("mockanka/core/one.py", 'x = 1\ny = ("It came.", "A1, {}")\n', 2),
    "a page": ("docs/one.md", "# One\n\nIt is so (controller-facts {}).\n", 3),
    "a table": ("docs/one.md", "| `a` | all | guess | A1, {} |\n", 1),
    "a reference": ("docs/one.md", "One\n| `a` | all | guess | [A1], [{}] |\n", 2),
    "a link": ("docs/one.md", "One\n\n[it](controller-facts.md#{})\n", 3),
    "a scenario": ("scenarios/one.yaml", "# It is so, controller-facts {}.\nnodes: []\n", 1),
    "evidence": ("openapi/one.yaml", "paths:\n  /one:\n    x-evidence: [captured, A1, {}]\n", 3),
    "evidence of a value": ("openapi/one.yaml", "one:\n  x-enum-evidence:\n    two: [captured, {}]\n", 3),
    "another language": ("examples/one.go", "package one\n\n// See controller-facts {}.\n", 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_made_up_citation_is_reported_with_file_and_line(tmp_path: Path, form: str) -> None:
    """In whatever form it stands, a citation of a missing section is found; others are not reported."""
    name, text, line = FORMS[form]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text.format(MADE_UP), "utf-8")

    known = [f"a{number}" for number in range(1, 99)]
    assert [f"{name}:{line}: controller-facts has no section {MADE_UP}"] == missing(tmp_path, known)


NO_CITATIONS = {
    "an id": ("one.py", 'x = "{{match: {{event: begin, group: {0}}}}}"\n'),
    "a call": ("one.py", "{0} = 1\nx = max({0}, {0})\n"),
    "a number": ("one.py", '"""Wait a little (0.7), or at most for A77s."""\n'),
    "an escape": ("one.py", 'x = b"/api/%{0}%80"\n'),
    "a rule of a linter": ("one.toml", 'select = ["A004", "C4"]\n'),
    "a literal of a test": ("tests/one.py", 'x = ["captured", "{0}"]\n'),
    "the page's name alone": ("one.py", '"""The sections of controller-facts say so."""\n'),
}


@pytest.mark.parametrize("form", NO_CITATIONS)
def test_what_is_no_citation_is_not_reported(tmp_path: Path, form: str) -> None:
    """Ids, calls and other texts of that shape are left alone."""
    name, text = NO_CITATIONS[form]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text.format(MADE_UP), "utf-8")

    assert [] == missing(tmp_path, [])

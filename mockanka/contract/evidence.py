"""The evidence of each part of the contract: grades, and sections of controller-facts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

EVIDENCE_GRADES = ("captured", "reference", "documented", "client relies", "derived", "guess")
"""The grades of evidence, strongest first; the document's introduction describes each."""

GUESS_GRADE = "guess"

_FACT = re.compile(r"[A-DF]\d+(\.\d+)?|0\.\d|[EG]")
_GUESS_WORD = re.compile(r"\bguess(es)?\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=\.)\s+(?=[A-Z`0-9])")
_PARAGRAPH = re.compile(r"^\*\*([^*]+)\.\*\* (.*?)(?=^\*\*|\Z)", re.DOTALL | re.MULTILINE)


class Evidence(NamedTuple):
    """The grades of a part, strongest first, and the sections of controller-facts that support it."""

    grades: tuple[str, ...]
    facts: tuple[str, ...]

    @classmethod
    def parse(cls, words: Iterable[str]) -> Evidence:
        """Parse a list under ``x-evidence``: grades, then sections. ValueError if it is malformed."""
        words = list(words)
        grades = tuple(word for word in words if word in EVIDENCE_GRADES)
        facts = tuple(words[len(grades) :])
        if not grades or [*grades, *facts] != words or not all(map(_FACT.fullmatch, facts)):
            raise ValueError(f"no evidence: {words}")
        if grades != tuple(grade for grade in EVIDENCE_GRADES if grade in grades):
            raise ValueError(f"the strongest grade comes first, and each grade once: {words}")
        return cls(grades, facts)

    @property
    def grade(self) -> str:
        """The strongest grade."""
        return self.grades[0]

    @property
    def is_partly_guess(self) -> bool:
        """True if there is better evidence for the part itself, but some of its description is a guess."""
        return GUESS_GRADE in self.grades[1:]

    @property
    def inherited(self) -> Evidence:
        """The evidence that also applies to what the part contains; a guess in part does not."""
        return Evidence(self.grades[:-1], self.facts) if self.is_partly_guess else self

    def with_guess(self, guess: bool) -> Evidence:
        """Return the evidence with a guess in part added, if ``guess`` is true."""
        return Evidence((*self.grades, GUESS_GRADE), self.facts) if guess and GUESS_GRADE not in self.grades else self


def guess_sentences(text: str) -> list[str]:
    """Return the sentences of a text that call something a guess."""
    return [sentence for sentence in _SENTENCE_END.split(text) if _GUESS_WORD.search(sentence)]


def titled_paragraphs(document: dict[str, Any]) -> dict[str, str]:
    """Return the titled paragraphs of the document's introduction by title, each on one line."""
    paragraphs = _PARAGRAPH.findall(document["info"]["description"])
    return {title: " ".join(text.split()) for title, text in paragraphs}

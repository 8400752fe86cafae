"""How each thing in the contract is known, as the document says it: grades, sections of controller-facts, guesses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

GRADES = ("captured", "reference", "documented", "client relies", "derived", "guess")
"""The ways in which a thing can be known, the best first; the document's introduction says what each means."""

GUESS = "guess"

_FACT = re.compile(r"[A-DF]\d+(\.\d+)?|0\.\d|[EG]")
_GUESSED = re.compile(r"\bguess(es)?\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z`0-9])")
_PARAGRAPH = re.compile(r"^\*\*([^*]+)\.\*\* (.*?)(?=^\*\*|\Z)", re.DOTALL | re.MULTILINE)


class Evidence(NamedTuple):
    """How something is known, the best first, and the sections of controller-facts that say so."""

    grades: tuple[str, ...]
    facts: tuple[str, ...]

    @classmethod
    def parse(cls, words: Iterable[str]) -> Evidence:
        """What stands under ``x-evidence``; a ValueError if that is none."""
        words = list(words)
        grades = tuple(word for word in words if word in GRADES)
        facts = tuple(words[len(grades) :])
        if not grades or [*grades, *facts] != words or not all(map(_FACT.fullmatch, facts)):
            raise ValueError(f"no evidence: {words}")
        if grades != tuple(grade for grade in GRADES if grade in grades):
            raise ValueError(f"the best stands first, and each once: {words}")
        return cls(grades, facts)

    @property
    def grade(self) -> str:
        """The best of them."""
        return self.grades[0]

    @property
    def partly(self) -> bool:
        """Whether the thing is known, and something of what is said about it is a guess."""
        return GUESS in self.grades[1:]

    @property
    def handed_down(self) -> Evidence:
        """What holds for the parts as well, which a guess in part does not."""
        return Evidence(self.grades[:-1], self.facts) if self.partly else self

    def guessing(self, also: bool) -> Evidence:
        """The same, with a guess in part if there is one."""
        return Evidence((*self.grades, GUESS), self.facts) if also and GUESS not in self.grades else self


def guesses(text: str) -> list[str]:
    """The sentences of a text that call something a guess."""
    return [sentence for sentence in _SENTENCE.split(text) if _GUESSED.search(sentence)]


def paragraphs(document: dict[str, Any]) -> dict[str, str]:
    """The paragraphs of the document's introduction that have a title, each on one line."""
    found = _PARAGRAPH.findall(document["info"]["description"])
    return {title: " ".join(text.split()) for title, text in found}

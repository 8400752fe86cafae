"""Text from outside as it is shown in messages, on terminals and in logs: short, and without control characters."""

from __future__ import annotations

MAX_SHOWN = 1000
"""Characters of a message that are shown."""
GAP = " ... "


def cut(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a text of at most ``limit`` characters: if it is longer, its beginning and its end, where the hint is."""
    if len(text) <= limit:
        return text
    half = (limit - len(GAP)) // 2
    return text[: limit - len(GAP) - half] + GAP + text[-half:]


def escape(text: str) -> str:
    """Return a text without characters that move a cursor, colour a terminal or break a line: they are escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )

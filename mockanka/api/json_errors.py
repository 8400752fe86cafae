"""Errors of bodies that are no JSON, as Go's ``encoding/json`` words them, with the character and its context.

Guess: that a body is decoded as a whole, as ``json.Unmarshal`` does it, so what follows the value is an error as well
(controller-facts A0.4).
"""

from __future__ import annotations

import re
from enum import Enum, auto

UNEXPECTED_END = "unexpected end of JSON input"
MAX_DEPTH = 10_000
"""Depth from which on Go refuses objects and arrays."""

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING_PART = re.compile(rb'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_HEX_DIGITS = re.compile(rb"[0-9a-fA-F]{0,4}")
_INTEGER, _DIGITS = re.compile(rb"0|[1-9][0-9]*"), re.compile(rb"[0-9]+")
_WORDS = {b"t": b"true", b"f": b"false", b"n": b"null"}
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\"}


class _Next(Enum):
    """Tokens that may come next, besides white space."""

    VALUE = auto()
    VALUE_OR_END = auto()
    KEY = auto()
    KEY_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()


class _JsonError(Exception):
    """An error of Go; the text is its message."""


def explain_json_error(body: bytes) -> str | None:
    """Return the error that Go reports for a body, or None if it takes the body as JSON."""
    text = body + b" "  # Go meets a space at the end
    opened: list[bytes] = []
    try:
        following, position = _Next.VALUE, 0
        while (position := _end_of(_SPACE, text, position)) < len(text):
            following, position = _read_token(text, position, following, opened)
    except _JsonError as error:
        return str(error)
    return UNEXPECTED_END if opened or following is not _Next.COMMA_OR_END else None


def _read_token(text: bytes, position: int, expected: _Next, opened: list[bytes]) -> tuple[_Next, int]:
    """Return what may come after the token at a position, and where that ends; ``opened`` are the open brackets."""
    char = text[position : position + 1]
    match expected, char:
        case (_Next.KEY_OR_END, b"}") | (_Next.VALUE_OR_END, b"]"):
            opened.pop()
        case ((_Next.KEY | _Next.KEY_OR_END), b'"'):
            return _Next.COLON, _end_of_string(text, position)
        case ((_Next.KEY | _Next.KEY_OR_END), _):
            raise _unexpected(text, position, "looking for beginning of object key string")
        case _Next.COLON, b":":
            return _Next.VALUE, position + 1
        case _Next.COLON, _:
            raise _unexpected(text, position, "after object key")
        case _Next.COMMA_OR_END, _:
            if not opened:
                raise _unexpected(text, position, "after top-level value")
            in_object = opened[-1] == b"{"
            if char == b",":
                return _Next.KEY if in_object else _Next.VALUE, position + 1
            if char != (b"}" if in_object else b"]"):
                raise _unexpected(text, position, "after object key:value pair" if in_object else "after array element")
            opened.pop()
        case _, (b"{" | b"["):
            opened.append(char)
            if len(opened) > MAX_DEPTH:
                raise _unexpected(text, position, "exceeded max depth")
            return _Next.KEY_OR_END if char == b"{" else _Next.VALUE_OR_END, position + 1
        case _:
            return _Next.COMMA_OR_END, _end_of_scalar(text, position, char)
    return _Next.COMMA_OR_END, position + 1


def _end_of_scalar(text: bytes, position: int, char: bytes) -> int:
    """Return where the string, number or word ends that begins at a position."""
    if char == b'"':
        return _end_of_string(text, position)
    if char in _WORDS:
        return _end_of_word(text, position, _WORDS[char])
    if char == b"-" or char.isdigit():
        return _end_of_number(text, position)
    raise _unexpected(text, position, "looking for beginning of value")


def _end_of_string(text: bytes, position: int) -> int:
    position = _end_of(_STRING_PART, text, position + 1)
    match text[position : position + 1], text[position + 1 : position + 2]:
        case b'"', _:
            return position + 1
        case b"", _:
            raise _JsonError(UNEXPECTED_END)
        case b"\\", b"u":
            digits_end = _end_of(_HEX_DIGITS, text, position + 2)
            raise _unexpected(text, digits_end, "in \\u hexadecimal character escape")
        case b"\\", _:
            raise _unexpected(text, position + 1, "in string escape code")
    raise _unexpected(text, position, "in string literal")


def _end_of_number(text: bytes, position: int) -> int:
    position += text.startswith(b"-", position)
    position = _require(_INTEGER, text, position, "in numeric literal")
    if text.startswith(b".", position):
        position = _require(_DIGITS, text, position + 1, "after decimal point in numeric literal")
    if text.startswith((b"e", b"E"), position):
        position += 1 + text.startswith((b"+", b"-"), position + 1)
        position = _require(_DIGITS, text, position, "in exponent of numeric literal")
    return position


def _end_of_word(text: bytes, position: int, word: bytes) -> int:
    for offset, expected in enumerate(word):
        if text[position + offset : position + offset + 1] != bytes([expected]):
            context = f"in literal {word.decode()} (expecting {_quote(expected)})"
            raise _unexpected(text, position + offset, context)
    return position + len(word)


def _end_of(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    """Return where a match at a position ends; the pattern matches nothing too."""
    found = pattern.match(text, position)
    return found.end() if found else position


def _require(pattern: re.Pattern[bytes], text: bytes, position: int, context: str) -> int:
    """Return where the match at a position ends; without one the character there is an error."""
    found = pattern.match(text, position)
    if found is None:
        raise _unexpected(text, position, context)
    return found.end()


def _unexpected(text: bytes, position: int, context: str) -> _JsonError:
    return _JsonError(f"invalid character {_quote(text[position])} {context}")


def _quote(char: int) -> str:
    """Return a byte in quotes, as Go shows it: a character of Latin-1, escaped if it is not printable."""
    text = chr(char)
    if char in _ESCAPES:
        return f"'{_ESCAPES[char]}'"
    if text.isprintable():
        return f"'{text}'"
    return f"'\\x{char:02x}'" if char < 0x80 else f"'\\u{char:04x}'"

"""Errors of bodies that are no JSON, as Go's ``encoding/json`` words them, with the character and its context.

Guess: that a body is decoded as a whole, as ``json.Unmarshal`` does it, so what follows the value is an error as well
(controller-facts A0.4).
"""

from __future__ import annotations

from collections.abc import Callable

UNEXPECTED_END = "unexpected end of JSON input"
MAX_DEPTH = 10_000
"""Depth from which on Go refuses objects and arrays."""

_SPACE, _DIGITS, _NONZERO = b" \t\r\n", b"0123456789", b"123456789"
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\"}

Step = Callable[[int], None]


class _SyntaxError(Exception):
    """A character that cannot stand where it stands."""


def explain_json_error(data: bytes) -> str | None:
    """Return the error that Go reports for a body, or None if it takes the body as JSON."""
    scanner = _Scanner()
    try:
        for char in data:
            scanner.step(char)
        return scanner.finish()
    except _SyntaxError as error:
        return str(error)


def _quote(char: int) -> str:
    """Return a byte in quotes, as Go shows it: a character of Latin-1, escaped if it is not printable."""
    text = chr(char)
    if char in _ESCAPES:
        return f"'{_ESCAPES[char]}'"
    if text.isprintable():
        return f"'{text}'"
    return f"'\\x{char:02x}'" if char < 0x80 else f"'\\u{char:04x}'"


class _Scanner:
    """The states of Go's scanner: ``step`` takes the next byte, and is another method after it."""

    def __init__(self) -> None:
        self.step: Step = self._begin_value
        self._open: list[str] = []
        """Kinds of what is not closed yet: ``key`` and ``value`` of an object, or ``array``."""

    def finish(self) -> str | None:
        """Return the error that the end of the text is, or None."""
        if self.step != self._end_top:
            self.step(_SPACE[0])  # ends a number
        return None if self.step == self._end_top else UNEXPECTED_END

    def _fail(self, char: int, context: str) -> None:
        raise _SyntaxError(f"invalid character {_quote(char)} {context}")

    def _push(self, char: int, kind: str, step: Step) -> None:
        self._open.append(kind)
        if len(self._open) > MAX_DEPTH:
            self._fail(char, "exceeded max depth")
        self.step = step

    def _pop(self) -> None:
        self._open.pop()
        self.step = self._end_value if self._open else self._end_top

    def _begin_value_or_end(self, char: int) -> None:
        if char in _SPACE:
            return
        if char == ord("]"):
            self._end_value(char)
        else:
            self._begin_value(char)

    def _begin_value(self, char: int) -> None:
        if char in _SPACE:
            return
        match chr(char):
            case "{":
                self._push(char, "key", self._begin_key_or_end)
            case "[":
                self._push(char, "array", self._begin_value_or_end)
            case '"':
                self.step = self._in_string
            case "-":
                self.step = self._negative
            case "0":
                self.step = self._after_zero
            case "t" | "f" | "n" as letter:
                word = {"t": "true", "f": "false", "n": "null"}[letter]
                self.step = self._in_word(word, 1)
            case _ if char in _NONZERO:
                self.step = self._in_integer
            case _:
                self._fail(char, "looking for beginning of value")

    def _begin_key_or_end(self, char: int) -> None:
        if char in _SPACE:
            return
        if char == ord("}"):
            self._open[-1] = "value"
            self._end_value(char)
        else:
            self._begin_key(char)

    def _begin_key(self, char: int) -> None:
        if char in _SPACE:
            return
        if char != ord('"'):
            self._fail(char, "looking for beginning of object key string")
        self.step = self._in_string

    def _end_value(self, char: int) -> None:
        if not self._open:
            self.step = self._end_top
            self._end_top(char)
            return
        if char in _SPACE:
            self.step = self._end_value
            return
        match self._open[-1], chr(char):
            case "key", ":":
                self._open[-1] = "value"
                self.step = self._begin_value
            case "key", _:
                self._fail(char, "after object key")
            case "value", ",":
                self._open[-1] = "key"
                self.step = self._begin_key
            case ("value", "}") | ("array", "]"):
                self._pop()
            case "value", _:
                self._fail(char, "after object key:value pair")
            case _, ",":
                self.step = self._begin_value
            case _:
                self._fail(char, "after array element")

    def _end_top(self, char: int) -> None:
        if char not in _SPACE:
            self._fail(char, "after top-level value")

    def _in_string(self, char: int) -> None:
        if char == ord('"'):
            self.step = self._end_value
        elif char == ord("\\"):
            self.step = self._in_escape
        elif char < 0x20:
            self._fail(char, "in string literal")

    def _in_escape(self, char: int) -> None:
        if char in b'bfnrt\\/"':
            self.step = self._in_string
        elif char == ord("u"):
            self.step = self._in_hex(4)
        else:
            self._fail(char, "in string escape code")

    def _in_hex(self, left: int) -> Step:
        def step(char: int) -> None:
            if char not in _HEX:
                self._fail(char, "in \\u hexadecimal character escape")
            self.step = self._in_hex(left - 1) if left > 1 else self._in_string

        return step

    def _negative(self, char: int) -> None:
        if char == ord("0"):
            self.step = self._after_zero
        elif char in _NONZERO:
            self.step = self._in_integer
        else:
            self._fail(char, "in numeric literal")

    def _in_integer(self, char: int) -> None:
        if char not in _DIGITS:
            self._after_zero(char)

    def _after_zero(self, char: int) -> None:
        if char == ord("."):
            self.step = self._after_point
        elif char in b"eE":
            self.step = self._after_exponent
        else:
            self._end_value(char)

    def _after_point(self, char: int) -> None:
        if char not in _DIGITS:
            self._fail(char, "after decimal point in numeric literal")
        self.step = self._in_fraction

    def _in_fraction(self, char: int) -> None:
        if char in b"eE":
            self.step = self._after_exponent
        elif char not in _DIGITS:
            self._end_value(char)

    def _after_exponent(self, char: int) -> None:
        self.step = self._after_sign
        if char not in b"+-":
            self._after_sign(char)

    def _after_sign(self, char: int) -> None:
        if char not in _DIGITS:
            self._fail(char, "in exponent of numeric literal")
        self.step = self._in_exponent

    def _in_exponent(self, char: int) -> None:
        if char not in _DIGITS:
            self._end_value(char)

    def _in_word(self, word: str, place: int) -> Step:
        def step(char: int) -> None:
            if char != ord(word[place]):
                self._fail(char, f"in literal {word} (expecting {_quote(ord(word[place]))})")
            self.step = self._in_word(word, place + 1) if place + 1 < len(word) else self._end_value

        return step

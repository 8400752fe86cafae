"""YAML with comments: sections, items and keys, each with what there is to say of it.

PyYAML writes none, and ruamel.yaml hangs them on a document that it has loaded, through a protocol of its own: for text
that is only ever written, these few lines on top of PyYAML's scalars are less.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import yaml

WIDTH = 120


class Noted(dict[str, Any]):
    """A mapping with remarks: ``above`` all of it, and beside its keys. What is None is left out."""

    def __init__(self, **items: Any) -> None:
        super().__init__({key: value for key, value in items.items() if value is not None})
        self.above: list[str] = []
        self.notes: dict[str, list[str]] = {}

    def note(self, key: str, text: str) -> None:
        """Say something of a key; of the whole, if it has no such key."""
        (self.notes.setdefault(key, []) if key in self else self.above).append(text)

    def put(self, key: str, value: Any, note: str = "") -> None:
        """Set a key, unless the value is None, and say something of it."""
        if value is not None:
            self[key] = value
        if note:
            self.note(key, note)


def write(top: Noted) -> str:
    """The text; an empty line stands between sections."""
    lines = [*_comment(top.above, 0)]
    for key, value in top.items():
        section = list(_entry(top, key, value, 0))
        spread = len(section) > 1
        if lines and (spread or lines[-1].startswith((" ", "#"))):
            lines.append("")
        lines += section
    return "\n".join(lines) + "\n"


def _entry(of: Noted, key: str, value: Any, indent: int) -> Iterator[str]:
    notes, margin = of.notes.get(key, []), " " * indent
    name = _flow(key)
    if isinstance(value, Noted):
        yield from _comment([*notes, *value.above], indent)
        yield f"{margin}{name}:" if value else f"{margin}{name}: {{}}"
        for inner, each in value.items():
            yield from _entry(value, inner, each, indent + 2)
        return
    line = f"{margin}{name}: {_flow(value)}"
    if isinstance(value, dict) and len(line) > WIDTH:
        yield from _entry(of, key, Noted(**value), indent)
        return
    if isinstance(value, list) and value and (len(line) > WIDTH or any(isinstance(each, Noted) for each in value)):
        yield from _comment(notes, indent)
        yield f"{margin}{name}:"
        for item in value:
            yield from _item(item, indent + 2)
        return
    beside = f"{line}  # {_tame(' '.join(notes))}" if notes else line
    if len(beside) > WIDTH:
        yield from _comment(notes, indent)
        beside = line
    yield beside


def _item(item: Any, indent: int) -> Iterator[str]:
    margin = " " * indent
    if not isinstance(item, Noted) or not item:
        yield f"{margin}- {_flow(item)}"
        return
    yield from _comment(item.above, indent)
    short = f"{margin}- {_flow(dict(item))}"
    if not item.notes and not any(isinstance(value, list | Noted) for value in item.values()) and len(short) <= WIDTH:
        yield short
        return
    lines = [line for key, value in item.items() for line in _entry(item, key, value, indent + 2)]
    # The dash belongs to the first key, which may have a remark above it.
    first = next(place for place, line in enumerate(lines) if not line.lstrip().startswith("#"))
    for place, line in enumerate(lines):
        if place < first:
            yield line[2:]
        elif place == first:
            yield f"{margin}- {line[indent + 2 :]}"
        else:
            yield line


def _comment(notes: list[str], indent: int) -> Iterator[str]:
    for note in notes:
        for line in wrap(_tame(note), WIDTH - indent - 2) or [""]:
            yield f"{' ' * indent}# {line}".rstrip()


def _tame(text: str) -> str:
    """A remark without what would end it, whatever the wire had put into it."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _flow(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9
    )
    return text.strip().removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    """Everything on one line, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Outside double quotes lines break, and are folded.
    style = '"' if not text.isprintable() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _mapping(dumper: yaml.SafeDumper, noted: Noted) -> yaml.MappingNode:
    return dumper.represent_dict(dict(noted))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Noted, _mapping)

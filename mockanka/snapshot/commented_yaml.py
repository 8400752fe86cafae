"""YAML with comments on the document, its sections, items and keys.

PyYAML writes no comments. ruamel.yaml attaches them to a document that it has loaded, by a protocol of its own; for
text that is only written, this module on top of PyYAML's scalars is shorter.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import yaml

LINE_LENGTH = 120


class CommentedMap(dict[str, Any]):
    """A mapping with comments: ``comments`` stand above it, ``key_comments`` beside or above its keys.

    Values that are None are omitted when it is created.
    """

    def __init__(self, **items: Any) -> None:
        super().__init__({key: value for key, value in items.items() if value is not None})
        self.comments: list[str] = []
        self.key_comments: dict[str, list[str]] = {}

    def comment_on(self, key: str, text: str) -> None:
        """Add a comment on a key, or on the mapping if it does not have the key."""
        (self.key_comments.setdefault(key, []) if key in self else self.comments).append(text)

    def put(self, key: str, value: Any, comment: str = "") -> None:
        """Set a key unless the value is None, and add a comment on it unless that is empty."""
        if value is not None:
            self[key] = value
        if comment:
            self.comment_on(key, comment)


def format_commented_yaml(document: CommentedMap) -> str:
    """Return the document as YAML; an empty line separates its sections."""
    lines = [*_comment_lines(document.comments, 0)]
    for key, value in document.items():
        section = list(_key_lines(document, key, value, 0))
        if lines and (len(section) > 1 or lines[-1].startswith((" ", "#"))):
            lines.append("")
        lines += section
    return "\n".join(lines) + "\n"


def _key_lines(mapping: CommentedMap, key: str, value: Any, indent: int) -> Iterator[str]:
    comments, margin = mapping.key_comments.get(key, []), " " * indent
    name = _inline(key)
    if isinstance(value, CommentedMap):
        yield from _comment_lines([*comments, *value.comments], indent)
        yield f"{margin}{name}:" if value else f"{margin}{name}: {{}}"
        for inner_key, inner_value in value.items():
            yield from _key_lines(value, inner_key, inner_value, indent + 2)
        return
    line = f"{margin}{name}: {_inline(value)}"
    if isinstance(value, dict) and len(line) > LINE_LENGTH:
        yield from _key_lines(mapping, key, CommentedMap(**value), indent)
        return
    if isinstance(value, list) and value and (len(line) > LINE_LENGTH or _has_comments(value)):
        yield from _comment_lines(comments, indent)
        yield f"{margin}{name}:"
        for item in value:
            yield from _item_lines(item, indent + 2)
        return
    with_comments = f"{line}  # {_single_line(' '.join(comments))}" if comments else line
    if len(with_comments) > LINE_LENGTH:
        yield from _comment_lines(comments, indent)
        yield line
    else:
        yield with_comments


def _has_comments(items: list[Any]) -> bool:
    return any(isinstance(item, CommentedMap) for item in items)


def _item_lines(item: Any, indent: int) -> Iterator[str]:
    margin = " " * indent
    if not isinstance(item, CommentedMap) or not item:
        yield f"{margin}- {_inline(item)}"
        return
    yield from _comment_lines(item.comments, indent)
    inline = f"{margin}- {_inline(dict(item))}"
    nested = any(isinstance(value, list | CommentedMap) for value in item.values())
    if not item.key_comments and not nested and len(inline) <= LINE_LENGTH:
        yield inline
        return
    lines = [line for key, value in item.items() for line in _key_lines(item, key, value, indent + 2)]
    # The dash belongs to the first key, which may have a comment above it.
    first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
    for index, line in enumerate(lines):
        if index < first:
            yield line[2:]
        elif index == first:
            yield f"{margin}- {line[indent + 2 :]}"
        else:
            yield line


def _comment_lines(comments: list[str], indent: int) -> Iterator[str]:
    for comment in comments:
        for line in wrap(_single_line(comment), LINE_LENGTH - indent - 2) or [""]:
            yield f"{' ' * indent}# {line}".rstrip()


def _single_line(text: str) -> str:
    """Return the text without line breaks and control characters, which would end a comment."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _inline(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_InlineDumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9
    )
    return text.strip().removesuffix("\n...")


class _InlineDumper(yaml.SafeDumper):
    """Writes a value on one line, without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Unless it is in double quotes, a line break in a string becomes one in the output.
    style = '"' if not text.isprintable() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_map(dumper: yaml.SafeDumper, mapping: CommentedMap) -> yaml.MappingNode:
    return dumper.represent_dict(dict(mapping))


_InlineDumper.add_representer(str, _represent_string)
_InlineDumper.add_representer(CommentedMap, _represent_map)

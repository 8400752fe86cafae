"""YAML with comments: it is read back as the data that was written, whatever the comments are."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from mockanka.snapshot.commented_yaml import CommentedMap, format_commented_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = TEXTS | st.lists(TEXTS) | st.dictionaries(TEXTS, TEXTS)


@given(st.dictionaries(st.text("abc", min_size=1), VALUES), TEXTS)
def test_comments_do_not_change_the_data(data: dict[str, object], comment: str) -> None:
    """No comment becomes data, and no data becomes a comment."""
    mapping = CommentedMap(**data)
    mapping.comments.append(comment)
    for key in data:
        mapping.comment_on(key, comment)
    document = CommentedMap(top=mapping, items=[mapping, "x"])

    assert {"top": data, "items": [data, "x"]} == yaml.safe_load(format_commented_yaml(document)) or not data


def test_a_comment_stands_beside_its_key_or_above_it() -> None:
    """It stands beside the key if the line has room for it, else above."""
    item = CommentedMap(short="x", long="y" * 100)
    item.comment_on("short", "a remark")
    item.comment_on("long", "another remark")

    assert ["- short: x  # a remark", "  # another remark", f"  long: {'y' * 100}"] == [
        line[2:] for line in format_commented_yaml(CommentedMap(items=[item])).splitlines()[1:]
    ]

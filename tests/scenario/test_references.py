"""Names that refer to nothing, or to several things, are refused with what was probably meant."""

import pytest

from tests.scenario.problems import INVENTORY, problems_of

DANGLING = {
    "instances:\n  - template: oss": "13+1: instances[0].template: there is no template 'oss': did you mean 'os'?",
    "instances:\n  - {template: os, tag: tool}": (
        "13+1: instances[0].tag: template os has no tag tool: did you mean 'tools'?"
    ),
    "instances:\n  - {template: os, version: 7}": (
        "13+1: instances[0].version: template os has no version 7: known are 0, 1"
    ),
    "instances:\n  - {template: bare}": "13+1: instances[0].template: template bare has no versions",
    "instances:\n  - {template: os, node: mimi}": (
        "13+1: instances[0].node: there is no node 'mimi': did you mean 'mini'?"
    ),
    "instances:\n  - {template: os, pinned_node: mimi}": (
        "13+1: instances[0].pinned_node: there is no node 'mimi': did you mean 'mini'?"
    ),
    "instances:\n  - {template: os, group: iso}": (
        "13+1: instances[0].group: there is no group 'iso': did you mean 'ios'?"
    ),
    "  - name: spare\n    nodes: [mini, mino]": (
        "13+1: groups[1].nodes[1]: there is no node 'mino': did you mean 'mini'?"
    ),
    "  - {name: spare, fallback: oss}": "13+0: groups[1].fallback: there is no group 'oss': did you mean 'ios'?",
    "distributions: [{template: os, nodes: [mimi]}]": (
        "13+0: distributions[0].nodes[0]: there is no node 'mimi': did you mean 'mini'?"
    ),
    "distributions: [{template: os, group: iso}]": (
        "13+0: distributions[0].group: there is no group 'iso': did you mean 'ios'?"
    ),
    "distributions:\n  - {template: os, tag: bse}": (
        "13+1: distributions[0].tag: template os has no tag bse: did you mean 'base'?"
    ),
    "save_images: [{instance: I, template: os}]": (
        "13+0: save_images[0].instance: there is no instance 'I': there are none"
    ),
    "instances: [{template: os, node: maxi, id: I}]\nsave_images: [{instance: I, template: so}]": (
        "13+1: save_images[0].template: there is no template 'so': known are bare, os"
    ),
}


@pytest.mark.parametrize("text", DANGLING)
def test_a_dangling_name_is_refused(text: str) -> None:
    """A name of something that is not there is named with its line and the name that was probably meant."""
    place, _, rest = DANGLING[text].partition(":")
    line = sum(int(part) for part in place.split("+"))

    assert [f"w.yaml:{line}:{rest}"] == problems_of(INVENTORY + text)


def test_a_name_that_two_things_have_is_refused() -> None:
    """A name that means two templates is refused with the ids that would tell them apart."""
    text = "templates: [{name: a, id: X, versions: [{}]}, {name: a, id: Y, versions: [{}]}]\ninstances: [{template: a}]"

    assert [
        "w.yaml:2: instances[0].template: there is more than one template 'a': name it by its id, X or Y"
    ] == problems_of(text)

"""Names that refer to nothing, or to several things, are refused with what was probably meant."""

import random
import time

import pytest

from mockanka.scenario import Options, Scenario, ScenarioError
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


def find_slowly(templates: list[dict[str, str]], text: str) -> tuple[str, str | None] | None:
    """Return the id and the tag that a text of ``cached`` stands for: longer names first, the name before the id."""
    for template in sorted(templates, key=lambda template: -len(template["name"])):
        for known in (template["name"], template["id"]):
            if text == known:
                return template["id"], None
            if text.startswith(f"{known}:"):
                return template["id"], text[len(known) + 1 :]
    return None


@pytest.mark.parametrize("seed", range(40))
def test_a_cached_version_is_that_of_the_longest_name_in_front(seed: int) -> None:
    """Names, ids and tags share their letters and colons, so that a text may be read in several ways."""
    rng = random.Random(seed)
    words = ["".join(rng.choice("a:") for _ in range(rng.randint(1, 4))) for _ in range(30)]
    tags = [*dict.fromkeys(words[:6])]
    ids = [*dict.fromkeys(words[6:20])]
    templates = [{"name": rng.choice(words), "id": id} for id in ids]
    text = rng.choice(words) + rng.choice(["", ":" + rng.choice(tags)])
    found = find_slowly(templates, text)
    scenario = {
        "templates": [{**template, "versions": [{"tag": tag} for tag in tags]} for template in templates],
        "nodes": [{"name": "n", "cached": [text]}],
    }
    if found is None or found[1] not in (None, *tags):
        with pytest.raises(ScenarioError, match=r"cached\[0\]"):
            Scenario.from_data(scenario).controller()
        return
    (node,) = Scenario.from_data(scenario).controller().nodes.values()
    (ref,) = node.cached
    expected = len(tags) - 1 if found[1] is None else tags.index(found[1])
    assert (found[0], expected) == (ref.template_id, ref.serial)


def seconds_to_build(text: str) -> float:
    scenario = Scenario.from_yaml(text)
    began = time.process_time()
    scenario.controller(Options(clock="manual", max_nodes=10**6))
    return time.process_time() - began


def test_many_cached_versions_load_in_linear_time() -> None:
    templates = "".join(f"- {{name: t{number}, versions: [{{tag: v, size: 1}}]}}\n" for number in range(1000))
    cached = ", ".join(f"'t{number}:v'" for number in range(1000))
    text = f"templates:\n{templates}nodes:\n- {{name: 'n{{n}}', count: 20, cached: [{cached}]}}\n"
    assert seconds_to_build(text) < 1  # it took 3 s when the templates were sorted for each


def test_mac_addresses_of_many_instances_are_assigned_in_linear_time() -> None:
    text = (
        "controller: {mac_addresses: 5000}\ntemplates: [{name: t, versions: [{tag: v, size: 1}]}]\n"
        "instances: [{template: t, count: 5000}]\n"
    )
    assert seconds_to_build(text) < 3  # it took 40 s when those of all instances were collected for each
    controller = Scenario.from_yaml(text).controller()
    assert 5000 == len({instance.request.mac_address for instance in controller.instances.values()})

"""Templates of the registry: versions, their files and sizes, deletion and reverts."""

import pytest

from mockanka.core import distributions, templates
from mockanka.core.controller import Controller
from mockanka.core.errors import NoSuchTag, NoSuchTemplate, NoSuchVersion, NotFound, NoVersionsWithTag, Refusal
from mockanka.core.templates import File, PortRule, Template, Version, VersionRef, collect_file_sizes
from mockanka.units import GB
from tests.controllers import reload, state_of
from tests.core.builders import (
    WARM,
    build_controller,
    node_named,
    pass_time,
    save_instance,
    start_instance,
    started_instance,
    template_named,
    version_ref,
)

THREE = """
templates:
  - name: mac
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions:
      - {tag: base, size: 10GB}
      - {tag: tools, size: 5GB, state_size: 2GB}
      - {tag: latest, size: 1GB, port_forwarding: [{name: web, guest_port: 80}]}
  - name: twice
    versions: [{tag: same, size: 1GB}, {tag: other, size: 1GB}, {tag: same, size: 1GB}]
  - name: single
    versions: [{tag: only, size: 1GB}]
  - name: bare
    versions: []
"""


def tags(controller: Controller, name: str = "mac") -> list[str]:
    """Return the tags of a template, oldest first."""
    return [version.tag for version in template_named(controller, name).versions]


def numbers(controller: Controller, name: str = "mac") -> list[int]:
    """Return the version numbers of a template, oldest first."""
    return [version.number for version in template_named(controller, name).versions]


def revert(controller: Controller, tag: str | None = None, number: int | None = None, name: str = "mac") -> None:
    """Revert a template."""
    templates.revert_template(controller, template_named(controller, name).id, tag, number)


# Versions, files and sizes.


def test_version_numbers_ascend_from_zero() -> None:
    """Without a tag or a number the last version is meant (A11)."""
    controller = build_controller(THREE)
    id = template_named(controller).id

    assert list(range(3)) == numbers(controller)
    assert VersionRef(id, 2) == templates.resolve_version(controller, id, None, None)


def test_images_are_newest_first() -> None:
    """A version's images are its own layer, and then those of the version before (A11)."""
    versions = template_named(build_controller(THREE)).versions

    assert versions[1].images[1:] == versions[0].images
    assert versions[2].images[1:] == versions[1].images


def test_the_size_of_a_version_is_that_of_its_files() -> None:
    """It is the sum of its layers and its saved state."""
    expected = [10 * GB, 17 * GB, 16 * GB]

    assert expected == [version.size for version in template_named(build_controller(THREE)).versions]


def test_the_size_of_a_template_counts_shared_layers_once() -> None:
    """It is the size of the union of all its versions' files (A11)."""
    expected = 18 * GB

    assert expected == template_named(build_controller(THREE)).size


def test_files_are_identified_by_name() -> None:
    """A file that is in two lists counts once."""
    expected = {"a": 1, "b": 2, "c": 3}

    assert expected == collect_file_sizes([[File("a", 1), File("b", 2)], [File("a", 1), File("c", 3)]])


def test_a_version_with_a_saved_state_is_suspended() -> None:
    """Its VMs resume from the state files."""
    expected = [False, True, False]

    assert expected == [version.suspended for version in template_named(build_controller(THREE)).versions]


def test_a_version_may_have_port_rules_of_its_own() -> None:
    """A version without rules of its own has those of its template."""
    mac = template_named(build_controller(THREE))
    expected = [(PortRule("ssh", 22),), (PortRule("ssh", 22),), (PortRule("web", 80),)]

    assert expected == [mac.port_rules_for(version) for version in mac.versions]


def test_a_version_with_an_empty_list_of_rules_forwards_nothing() -> None:
    """An empty list replaces the rules of the template."""
    mac = template_named(build_controller(THREE))
    expected = ()

    assert expected == mac.port_rules_for(Version(9, "quiet", (), port_forwarding=()))


def test_an_added_version_is_the_latest() -> None:
    """It comes after all others, and its reference leads to it."""
    controller = build_controller(THREE)
    mac = template_named(controller)
    added = Version(mac.next_version_number(), "new", (File("f", 1),))
    ref = mac.add(added)

    assert added == templates.get_version(controller, ref) == mac.versions[-1]
    assert 3 == added.number


def test_the_next_number_follows_the_latest_version() -> None:
    """After a revert, numbers continue from the latest version that is left; without versions they begin at 0."""
    controller = build_controller(THREE)
    revert(controller, "tools")
    expected = [1, 0]

    assert expected == [template_named(controller, name).next_version_number() for name in ("mac", "bare")]


def test_the_next_number_does_not_fill_gaps() -> None:
    """It is one more than the number of the latest version, however many versions there are."""
    controller = build_controller(
        "templates: [{name: mac, versions: [{tag: base, number: 0}, {tag: tools, number: 5}]}]"
    )

    assert 6 == template_named(controller).next_version_number()


def test_versions_keep_their_serials() -> None:
    """The versions that are left are listed with their place in the history."""
    controller = build_controller(THREE)
    revert(controller, "latest")
    versions = template_named(controller).versions_by_serial()
    expected = [(0, "base"), (1, "tools")]

    assert expected == [(serial, version.tag) for serial, version in versions]


# Search.


def test_a_template_is_found_by_its_id() -> None:
    """find_template returns the template with that id."""
    controller = build_controller(THREE)
    mac = template_named(controller)

    assert mac is templates.find_template(controller, mac.id)


def test_an_unknown_template_is_not_found() -> None:
    """The refusal has the text of the API."""
    with pytest.raises(NotFound, match=r"^Not found$"):
        templates.find_template(build_controller(THREE), "nobody")


def test_a_tag_selects_its_version() -> None:
    """The version with that tag is returned."""
    controller = build_controller(THREE)
    mac = template_named(controller)

    assert VersionRef(mac.id, 1) == templates.resolve_version(controller, mac.id, "tools", None)


def test_a_number_selects_its_version() -> None:
    """The version with that number is returned, 0 included."""
    controller = build_controller(THREE)
    mac = template_named(controller)

    assert VersionRef(mac.id, 0) == templates.resolve_version(controller, mac.id, None, 0)


def test_a_tag_takes_precedence_over_a_number() -> None:
    """If both are given the tag counts."""
    controller = build_controller(THREE)
    mac = template_named(controller)

    assert VersionRef(mac.id, 1) == templates.resolve_version(controller, mac.id, "tools", 0)


def test_a_blank_tag_is_no_tag() -> None:
    """Clients send a blank tag for none."""
    controller = build_controller(THREE)
    mac = template_named(controller)

    assert VersionRef(mac.id, 2) == templates.resolve_version(controller, mac.id, "", None)


def test_a_duplicate_tag_selects_the_newer_version() -> None:
    """Of two versions with one tag the later is meant."""
    controller = build_controller(THREE)
    twice = template_named(controller, "twice")

    assert VersionRef(twice.id, 2) == templates.resolve_version(controller, twice.id, "same", None)


@pytest.mark.parametrize(
    ("name", "tag", "number", "refusal"),
    [
        ("mac", "nope", None, NoSuchTag("nope")),
        ("mac", None, 9, NoSuchVersion(9)),
        ("bare", None, None, NoSuchTemplate()),
        ("bare", "any", None, NoSuchTag("any")),
    ],
)
def test_unknown_tags_and_numbers_are_refused(name: str, tag: str | None, number: int | None, refusal: Refusal) -> None:
    """An unknown tag, an unknown number and a template without versions each have a refusal of their own."""
    controller = build_controller(THREE)
    id = template_named(controller, name).id

    with pytest.raises(type(refusal), match=f"^{refusal}$"):
        templates.resolve_version(controller, id, tag, number)


def test_the_use_of_an_unknown_template_is_refused() -> None:
    """The text differs from that of a search (A0.4)."""
    with pytest.raises(NoSuchTemplate, match=r"^VM not in the registry$"):
        templates.resolve_version(build_controller(THREE), "nobody", None, None)


def test_the_refusal_of_a_tag_is_plain_text() -> None:
    """The tag has no quotes in it, because clients compare the whole text (A0.4)."""
    assert "No such tag 15.0" == str(NoSuchTag("15.0"))


# Deletion.


def test_a_deleted_template_is_gone_with_all_its_versions() -> None:
    """After a delete the template is neither found nor used, and has no size."""
    controller = build_controller(THREE)
    mac = template_named(controller)
    ref = version_ref(controller)
    templates.delete_template(controller, mac.id)
    expected = (0, [], False)

    with pytest.raises(NotFound):
        templates.find_template(controller, mac.id)
    with pytest.raises(NoSuchTemplate):
        templates.resolve_version(controller, mac.id, None, None)
    assert expected == (mac.size, mac.versions, templates.is_in_registry(controller, ref))


def test_a_template_is_deleted_once() -> None:
    """A template that is deleted already, or never existed, is not found."""
    controller = build_controller(THREE)
    id = template_named(controller).id
    templates.delete_template(controller, id)

    for unknown in (id, "nobody"):
        with pytest.raises(NotFound):
            templates.delete_template(controller, unknown)


def test_a_template_in_use_may_be_deleted() -> None:
    """A running instance and the cached copy on the node stay as they are (C12)."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 300)

    assert "Started" == instance.state
    assert instance.ref in controller.nodes[instance.node_id or ""].cached


# Reverts.


@pytest.mark.parametrize(
    ("tag", "number", "left"),
    [
        (None, None, ["base", "tools"]),
        ("latest", None, ["base", "tools"]),
        ("tools", None, ["base"]),
        (None, 2, ["base", "tools"]),
        (None, 1, ["base"]),
        (None, 0, []),
        ("base", None, []),
        ("latest", 0, ["base", "tools"]),
    ],
)
def test_a_revert_deletes_the_named_version_and_every_later_one(
    tag: str | None, number: int | None, left: list[str]
) -> None:
    """By tag, by number, or the latest if none is named; the named version goes too (B1, B2)."""
    controller = build_controller(THREE)
    revert(controller, tag, number)

    assert left == tags(controller)


def test_a_revert_shrinks_the_template() -> None:
    """The layers of deleted versions do not count any more."""
    controller = build_controller(THREE)
    revert(controller, "tools")
    expected = 10 * GB

    assert expected == template_named(controller).size


@pytest.mark.parametrize(
    ("name", "tag", "number"),
    [("single", None, None), ("single", "only", None), ("single", None, 0), ("mac", None, 0), ("mac", "base", None)],
)
def test_a_revert_that_leaves_no_version_deletes_the_template(name: str, tag: str | None, number: int | None) -> None:
    """That is one of version 0, or of the only version (A13); starts of the template are refused from then on."""
    controller = build_controller(THREE)
    template = template_named(controller, name)
    revert(controller, tag, number, name)

    assert ([], True) == (tags(controller, name), template.deleted)
    assert template not in templates.list_templates(controller)
    with pytest.raises(NotFound):
        templates.find_template(controller, template.id)
    with pytest.raises(NoSuchTemplate):
        templates.resolve_version(controller, template.id, None, None)


def test_the_first_version_that_is_left_counts_as_the_first() -> None:
    """The template is deleted with its last version, whatever was deleted before."""
    controller = build_controller(THREE)
    for _ in range(2):
        revert(controller)
    assert not template_named(controller).deleted
    revert(controller, "base")

    assert template_named(controller).deleted


def test_what_uses_a_template_outlives_a_revert_that_deletes_it() -> None:
    """A VM runs on, the copy on the disk serves an instance that waits, and the state survives dump and load."""
    controller = build_controller(WARM)
    running = started_instance(controller)
    waiting = start_instance(controller)
    revert(controller, number=0)
    pass_time(controller, 30)

    assert ("Started", "Started") == (running.state, waiting.state)
    assert state_of(controller) == state_of(reload(controller))


def test_a_template_deleted_by_a_revert_fails_what_needs_it() -> None:
    """A start that waits without a copy is in Error, a distribution fails, and so does a save image request."""
    controller = build_controller(WARM + "  - {name: beta, capacity: 1}\n")
    source = started_instance(controller, on="alpha")
    save = save_instance(controller, source)
    waiting = start_instance(controller, on="beta")
    distribution = distributions.create_distribution(
        controller, template_named(controller).id, node_ids=[node_named(controller, "beta").id]
    )
    revert(controller, number=0)
    pass_time(controller, 100)

    assert ("Error", "VM not in the registry") == (waiting.state, waiting.message)
    assert ["failed"] == [delivery.stage for delivery in distribution.deliveries.values()]
    assert ("error", "Started") == (save.status, source.state)
    assert state_of(controller) == state_of(reload(controller))


@pytest.mark.parametrize(("tag", "number", "kind"), [("nope", None, NoVersionsWithTag), (None, 7, NoSuchVersion)])
def test_a_revert_of_an_unknown_version_is_refused(tag: str | None, number: int | None, kind: type[Refusal]) -> None:
    """Nothing is deleted."""
    controller = build_controller(THREE)
    with pytest.raises(kind):
        revert(controller, tag, number)
    expected = 3

    assert expected == len(tags(controller))


def test_a_revert_of_an_unknown_template_is_not_found() -> None:
    """The revert is refused."""
    with pytest.raises(NotFound):
        templates.revert_template(build_controller(THREE), "nobody")


def test_a_reverted_version_stays_known_to_its_instances() -> None:
    """The version of an instance has its tag though it is not in the registry any more."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    revert(controller, "tools")

    assert "tools" == templates.get_version(controller, instance.ref).tag
    assert not templates.is_in_registry(controller, instance.ref)


def test_versions_are_deleted_from_a_serial_on() -> None:
    """The version at a place in the history and all later ones are deleted, even the only one."""
    controller = build_controller(THREE)
    templates.delete_versions_from(controller, template_named(controller, "single"), 0)
    templates.delete_versions_from(controller, template_named(controller), 1)
    expected = ([], ["base"])

    assert expected == (tags(controller, "single"), tags(controller))


def test_a_template_without_versions_is_empty() -> None:
    """It has no size, and its numbers begin at 0."""
    empty = Template("id", "name")
    expected = (0, 0, [])

    assert expected == (empty.size, empty.next_version_number(), empty.versions_by_serial())


# Times of pushes and pulls.

DISK = """
controller: {registry_disk: 40GB, saved_size: 4GB}
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]}
  - {name: other, versions: [{tag: only, size: 1GB}]}
nodes: [{name: alpha, cached: [mac]}]
"""


def test_a_version_has_the_times_of_its_push_and_last_pull() -> None:
    """Pushed with the scenario or by a save image request; pulled when a node last finished a pull."""
    controller = build_controller(DISK)
    began = controller.now
    (base, tools) = template_named(controller).versions
    save_instance(controller, started_instance(controller), tag="fresh", suspend=False)
    pass_time(controller, 100)
    distributions.create_distribution(controller, template_named(controller, "other").id)
    pass_time(controller, 100)
    fresh = template_named(controller).versions[-1]
    other = template_named(controller, "other")

    assert (began, began, 0, 0) == (base.pushed, tools.pushed, base.pulled, tools.pulled)
    assert began < fresh.pushed == template_named(controller).pushed
    assert (began, other.pulled) == (other.pushed, other.versions[0].pulled)
    assert began < other.pulled
    assert 0 == template_named(controller).pulled

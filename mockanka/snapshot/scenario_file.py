"""The state of a controller as the text of a scenario."""

from __future__ import annotations

import sys

from mockanka import units
from mockanka.core.license import TIERS
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient, ControllerError
from mockanka.scenario import Options, Scenario, ScenarioError
from mockanka.snapshot.commented_yaml import CommentedMap, format_commented_yaml
from mockanka.snapshot.context import create_context
from mockanka.snapshot.distributions import distribution_section
from mockanka.snapshot.fetch import API_PREFIX, FetchedState, fetch_state
from mockanka.snapshot.groups import group_section, known_groups
from mockanka.snapshot.instances import INSTANCE_LIMITATIONS, instance_section
from mockanka.snapshot.nodes import NODE_LIMITATIONS, node_section
from mockanka.snapshot.reader import JsonReader
from mockanka.snapshot.redaction import redact_state
from mockanka.snapshot.save_images import save_image_section
from mockanka.snapshot.templates import TEMPLATE_LIMITATIONS, TemplateIndex


def take_snapshot(client: ControllerClient, release: Release | None = None, redact: bool = False) -> str:
    """Read a controller and return its state as a scenario in YAML.

    ``release`` replaces the release in the controller's status. ControllerError if there is no controller, if a request
    fails that a scenario needs, or if the state is not a valid scenario.
    """
    state = fetch_state(client)
    title = f"State of the controller at {client.url.scheme}://{client.url.netloc.decode()}, read by mockanka snapshot."
    if redact:
        state = redact_state(state)
        title = "State of a controller, read by mockanka snapshot. All names, addresses and ids are replaced."
    text = format_commented_yaml(_document(state, title, release))
    try:
        # The controller is as large as it is; who loads the snapshot raises the limits.
        options = Options(clock="manual", max_nodes=sys.maxsize, max_instances=sys.maxsize)
        Scenario.from_yaml(text, "snapshot").controller(options)
    except ScenarioError as error:
        lines = str(error).splitlines()
        raise ControllerError("the state of the controller is not a valid scenario:", *lines) from None
    return text


def _document(state: FetchedState, title: str, release: Release | None) -> CommentedMap:
    groups = known_groups(state)
    context = create_context(state, release or _release_of(state), groups)
    last_reports = context.last_reports()
    now = _latest_moment(state, context.templates)
    # In this order: sections add templates and versions that only they name, so that of the templates comes last.
    instances = instance_section(context, last_reports)
    distributions = distribution_section(context)
    save_images = save_image_section(context)
    nodes = node_section(context, last_reports, now)
    vms = [
        (instance.data["vmid"], vm)
        for instance in map(JsonReader, context.instances)
        if (vm := instance.child("vminfo")).data
    ]
    templates = context.templates.section(vms)

    document = CommentedMap(snapshot=True)
    document.comments.append(title)
    document["controller"] = _controller_section(state, release)
    if now is not None:
        document["clock"] = CommentedMap(start=units.format_moment(now))
        document["clock"].comment_on("start", "the latest moment in the responses")
    for key, section, comment in (
        ("templates", templates, TEMPLATE_LIMITATIONS),
        ("nodes", nodes, NODE_LIMITATIONS),
        ("groups", group_section(groups, context.groups), ""),
        ("instances", instances, INSTANCE_LIMITATIONS),
        ("distributions", distributions, ""),
        ("save_images", save_images, ""),
    ):
        if section:
            document.put(key, section, comment)
    for path, message in state.refused.items():
        if "?" not in path:
            document.comments.append(f"GET {API_PREFIX}{path} was refused: {message}")
    return document


def _controller_section(state: FetchedState, release: Release | None) -> CommentedMap:
    status, disk = JsonReader(state.status), JsonReader(state.registry_disk)
    section = CommentedMap()
    version = status.text("version") or ""
    section["release"] = str(release or _release_of(state))
    section.comment_on(
        "release", "given, not read" if release else f"the controller's version is {version}; a scenario has no build"
    )
    license = status.text("license")
    if license in TIERS:
        section["license"] = license
    else:
        section.comments.append(f"Its license is {license!r}: here it is enterprise plus.")
    section.put("registry", status.text_or_empty("registry_address"))
    if status.text("registry_status") not in (None, "Running"):
        section.comment_on("registry", f"its status was {status.text('registry_status')}")
    total, free = disk.integer("total"), disk.integer("free")
    section.put("registry_disk", None if total is None else units.format_size(total))
    section.put("registry_free", None if free is None else units.format_size(free))
    section.comments += [*status.remarks, *disk.remarks]
    return section


def _release_of(state: FetchedState) -> Release:
    version = JsonReader(state.status).text("version") or ""
    try:
        return Release.from_version(version)
    except ValueError as error:
        raise ControllerError(f"cannot determine the controller's release: {error}; give --release") from None


def _latest_moment(state: FetchedState, templates: TemplateIndex) -> int | None:
    """Return the latest moment in the responses, which is shortly before the controller's time, or None."""
    instances = [JsonReader(instance) for instance in state.instances]
    moments = [
        *templates.moments,
        *(JsonReader(node).moment("last_updated") for node in state.nodes),
        *(instance.moment(key) for instance in instances for key in ("ts", "cr_time")),
        *(JsonReader(distribution).child("request").moment("time_requested") for distribution in state.distributions),
        *(JsonReader(save).child("request").unix_time("Timestamp") for save in state.save_images),
    ]
    return max((moment for moment in moments if moment is not None), default=None)

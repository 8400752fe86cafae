"""Releases of the controller, and the table of what came with which release.

Code that depends on the release asks for a feature of the table by name: ``release.has("vlans")``. The OpenAPI document
has the same releases as ``x-since`` and ``x-until``; a test compares the two.
"""

import re
from bisect import bisect_right
from hashlib import blake2b
from typing import NamedTuple


class Release(NamedTuple):
    """Release of the controller. Releases compare by their numbers: 1.9.0 < 1.10.0."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> "Release":
        """Return the release that a text like ``1.8.0`` or ``1.8`` names.

        Raises ValueError for any other text, and for a release before OLDEST_RELEASE.
        """
        match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", text, re.ASCII)
        if match is None:
            raise ValueError(f"{text!r} is no release: give one like {DEFAULT_RELEASE}")
        release = cls(*(int(part or 0) for part in match.groups()))
        if release < OLDEST_RELEASE:
            raise ValueError(f"release {release} is older than {OLDEST_RELEASE}, the oldest that is simulated")
        return release

    @classmethod
    def from_version(cls, version: str) -> "Release":
        """Return the release of a version in a status, such as ``1.50.1-24e848a5``; ValueError as of ``parse``."""
        return cls.parse(version.strip().removeprefix("v").partition("-")[0])

    def has(self, feature: str) -> bool:
        """Return whether this release has a feature of FEATURES."""
        return self >= SINCE[feature]

    @property
    def known(self) -> "Release":
        """This release if it is one of KNOWN_RELEASES, else the nearest lower one."""
        return KNOWN_RELEASES[bisect_right(KNOWN_RELEASES, self) - 1]

    @property
    def version(self) -> str:
        """The release and its build, as the controller and the agents of its nodes report themselves.

        Guess: the build of a release whose build is unknown, which is made up from the release alone.
        """
        return f"{self}-{BUILDS.get(self) or blake2b(str(self).encode(), digest_size=4).hexdigest()}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST_RELEASE = Release(1, 8, 0)
DEFAULT_RELEASE = Release(1, 50, 1)


class Feature(NamedTuple):
    """Difference between releases: ``since`` is the first release that has it.

    ``description`` is a sentence for the documentation, ``evidence`` names the sections of controller-facts. It is a
    ``guess`` if the release that it came with is unknown.
    """

    since: Release
    description: str
    evidence: str
    guess: bool = False


FEATURES: dict[str, Feature] = {
    "mac-addresses": Feature(
        Release(1, 9, 0),
        "Instances of templates that were pushed stopped get a MAC address from a pool, or the one in `mac_address`.",
        "A1, C16",
    ),
    "lost-instances-kept": Feature(
        Release(1, 13, 0),
        "Instances that run on a node that is lost stay as they are; before, they are terminated when it is Offline.",
        "C5",
    ),
    "script-result": Feature(
        Release(1, 15, 0),
        "Save image requests have `cancel_on_script_failure`, and show the `script_result`.",
        "A20",
    ),
    "node-update": Feature(
        Release(1, 18, 0),
        "PUT `/api/v1/node/update`: every agent is installed again; in between its node is Updating.",
        "A9",
    ),
    "failure-status-400": Feature(
        Release(1, 20, 0),
        "Failures have HTTP status 400; before, 200.",
        "A0.3",
        guess=True,
    ),
    "template-removal": Feature(
        Release(1, 20, 0),
        "DELETE `/api/v1/registry/vm/remove` removes a template from the disks of nodes.",
        "A14",
    ),
    "node-templates": Feature(
        Release(1, 20, 0),
        "Nodes show the `templates` on their disks.",
        "A6",
    ),
    "arch": Feature(
        Release(1, 22, 0),
        "`arch` of instances, templates and their versions, `host_arch` of nodes.",
        "A2.2, A6, A11",
    ),
    "template-size-by-id": Feature(
        Release(1, 22, 0),
        "A template requested by id shows its `size`, as the list does.",
        "A11",
        guess=True,
    ),
    "failed-node-shown": Feature(
        Release(1, 22, 0),
        "An instance that failed before it had a VM shows its `node_id`.",
        "C16",
    ),
    "vlans": Feature(
        Release(1, 23, 0),
        "`vlan_tag` in starts, `vlan` of instances, and GET `/api/v1/vlan`.",
        "A1, A2.2, A27",
    ),
    "script-monitoring": Feature(
        Release(1, 24, 0),
        "`script_monitoring`, `script_timeout` and `script_fail_handler` in starts, and the result `startup_script`.",
        "A1, A2.4, C4",
    ),
    "instance-tells-its-names": Feature(
        Release(1, 24, 0),
        "An instance contains its `instance_id`, `external_id` and `name`. In the list, the item around it "
        "always has the last two, null when unset.",
        "A2.1, B22, B23",
        guess=True,
    ),
    "registry-address": Feature(
        Release(1, 24, 0),
        "`anka_registry` of an instance is the address of the registry; before, it is empty.",
        "A2.2, B40",
        guess=True,
    ),
    "vm-dates": Feature(
        Release(1, 24, 0),
        "`version`, `creation_date` and `stop_date` in vminfo, and `vnc_password` if there is one.",
        "A2.3",
    ),
    "port-rule-name": Feature(
        Release(1, 24, 0),
        "The name of a port forwarding rule is in `rule_name`, which is blank; before, in `Name`.",
        "B4",
    ),
    "tag-filled-in": Feature(
        Release(1, 24, 1),
        "An instance shows its tag even if the request named none.",
        "A1",
    ),
    "name-template-nodes": Feature(
        Release(1, 25, 0),
        "`name_template` supports `$node_id`, `$node_name` and `$tag`.",
        "A1, B42",
    ),
    "name-template-instance": Feature(
        Release(1, 27, 0),
        "`name_template` supports `$instance_id`.",
        "A1",
    ),
    "hardware-overrides": Feature(
        Release(1, 27, 0),
        "`video_controller`, `hvapic` and `csr_active_config` in starts.",
        "A1",
    ),
    "request-id-stays": Feature(
        Release(1, 27, 0),
        "An instance with a VM still shows its `inflight_reqid`.",
        "A2.2",
        guess=True,
    ),
    "registry-v1-listing": Feature(
        Release(1, 28, 0),
        "`apiVer=v1` lists templates without `size` and `arch`.",
        "A11",
    ),
    "network-local": Feature(
        Release(1, 30, 0),
        "`network_local` in starts.",
        "A1",
    ),
    "csr-always-on": Feature(
        Release(1, 30, 0),
        "`csr_active_config` no longer supports `forceOff`.",
        "A1",
    ),
    "node-by-id-whole": Feature(
        Release(1, 32, 0),
        "A node requested by id is the same as in the list; before, its `anka_version` and `capacity_mode` are empty.",
        "A6, B10",
    ),
    "drain-mode": Feature(
        Release(1, 32, 0),
        "Nodes can be in Drain Mode: `drain_mode` in POST `/api/v1/node/config`.",
        "A7, C5",
    ),
    "distribute-to-unhealthy": Feature(
        Release(1, 33, 0),
        "A distribution to all nodes includes Unhealthy nodes.",
        "A16",
    ),
    "hardware-ids": Feature(
        Release(1, 37, 0),
        "`hw_serial` and `hw_uuid` in starts.",
        "A1",
    ),
    "distribute-to-draining": Feature(
        Release(1, 37, 0),
        "A distribution to all nodes includes nodes in Drain Mode.",
        "A16, C5",
    ),
    "permission-group": Feature(
        Release(1, 38, 0),
        "`group` in starts and distributions, the name of a permission group.",
        "A1, A15",
    ),
    "one-node-a-call": Feature(
        Release(1, 39, 0),
        "Only the first of the `node_ids` joins or leaves groups.",
        "A10",
    ),
    "start-overrides": Feature(
        Release(1, 39, 0),
        "`port_forwarding_override`, `network_mode` and `disk` in starts.",
        "A1",
    ),
    "port-rule-plain-name": Feature(
        Release(1, 39, 0),
        "The name of a port forwarding rule is in `name`.",
        "B4",
    ),
    "vm-timestamp": Feature(
        Release(1, 41, 0),
        "`access_date` and `timestamp` in vminfo, without `vnc_connection_string`.",
        "A2.3",
    ),
    "vnc-port-5900": Feature(
        Release(1, 41, 0),
        "`vnc_port` of a VM on Apple silicon is 5900; before, it is 0 without a port forwarding rule.",
        "A2.3",
        guess=True,
    ),
    "probes": Feature(
        Release(1, 41, 1),
        "GET `/livez` and `/readyz`.",
        "A24",
    ),
    "vnc-password": Feature(
        Release(1, 42, 0),
        "`vnc_password` in starts.",
        "A1",
    ),
    "script-timeout-told": Feature(
        Release(1, 42, 0),
        "`did_timeout` in the `script_result` of a save image request.",
        "A20",
        guess=True,
    ),
    "last-used": Feature(
        Release(1, 43, 0),
        "`last_pull` and `last_push` of templates and their versions.",
        "A11",
    ),
    "node-report": Feature(
        Release(1, 43, 0),
        "Nodes show when they last reported and the release of their agent: `last_updated`, `timestamp`, "
        "`agent_version`.",
        "A6",
    ),
    "license-expiry": Feature(
        Release(1, 43, 0),
        "`expires` in a node's `anka_version`.",
        "A6",
    ),
    "no-usb-no-key": Feature(
        Release(1, 43, 0),
        "A node without USB devices omits `usb_devices`; before, it is null.",
        "A6, B32",
    ),
    "distribution-cancel": Feature(
        Release(1, 43, 0),
        "DELETE `/api/v1/registry/vm/distribute` cancels a distribution on the nodes that are not done.",
        "A17",
    ),
    "distribution-error": Feature(
        Release(1, 43, 0),
        "A distribution shows the `error` of a node that failed.",
        "A16, A17",
    ),
    "restart": Feature(
        Release(1, 44, 0),
        "POST `/api/v1/rpc/vm/restart`, and `start_date` in vminfo.",
        "A5",
    ),
    "script-output-cut": Feature(
        Release(1, 45, 0),
        "Only the last megabyte of a script's output is kept.",
        "A20",
    ),
    "quiet-restart": Feature(
        Release(1, 47, 0),
        "An instance stays Started during a restart; before, it is in Error for a moment.",
        "A5",
    ),
    "vm-kept-on-error": Feature(
        Release(1, 49, 0),
        "An instance in Error keeps its vminfo; before, the VM is `deleted`, without name, address and ports.",
        "C3",
    ),
    "forced-overrides": Feature(
        Release(1, 50, 0),
        "A node that counts resources can use `vcpu` and `vram` of the start instead of the template's "
        "values (`force_overrides` in a scenario).",
        "C7",
    ),
    "scheduling-after-pull": Feature(
        Release(1, 50, 0),
        "An instance is Scheduling again between the end of its pull and the start of its VM; before, it is "
        "Pulling until its VM runs.",
        "C1",
    ),
}

SINCE: dict[str, Release] = {name: feature.since for name, feature in FEATURES.items()}
"""First release that has a feature, by its name."""

_VERSIONS = """
    1.8.0-91225db0 1.9.0-4a9f310f 1.9.1 1.10.0 1.10.1 1.11.0-59d63cca 1.11.1-1df83172 1.11.2-ae2c9036
    1.12.0-65cba643 1.13.0-24e848a5 1.14.0-17620328 1.15.0-c69e2600 1.16.0-05de337e 1.17.0-fcb89b75 1.17.1-4aead62f
    1.18.0-b3bb21bf 1.19.0-7c1c1424 1.20.0-035872f5 1.21.0-bcc26b24 1.21.1-5aebaf69 1.21.2-39f47eee 1.22.0-5dc750f1
    1.23.0-3523c787 1.24.0-28ac9d95 1.24.1-41a53e49 1.25.0-b2a027a4 1.26.0-7f63ad8a 1.27.0-76c64d00 1.28.0-347c73ea
    1.29.0-49077f79 1.30.0-66973267 1.30.1-299dcb37 1.31.0-93a0aa2c 1.31.1-ab1c787e 1.32.0-c375584c 1.33.0-5465bb03
    1.34.0-4cda29d3 1.35.0-525badf3 1.36.0-37d289c1 1.36.1-efbe0727 1.37.0-4e3ffe71 1.38.0-3989ee24 1.39.0-d35842e6
    1.40.0-95a63938 1.41.0-6a102e20 1.41.1-ac4f02c4 1.42.0-92735895 1.43.0-9f1c073a 1.44.0-19dc773e 1.45.0-8cf8fb10
    1.46.0-d8fb9604 1.46.1-f1e9637c 1.47.0-4f4a81ff 1.48.0-067b4c29 1.48.1-f78e0361 1.48.2-2d2d57bf 1.48.3-4f324404
    1.49.0-7d53dd9f 1.49.1-b75b7e88 1.50.0-5908cc18 1.50.1-5e3c3f5b 1.51.0-72cf2b3c 1.51.1-586513d9 1.51.2-184ce875
"""
# The builds are captured, or named by casks, release notes and pages (controller-facts E); that of three releases is
# unknown.

BUILDS: dict[Release, str] = {
    Release.parse(release): build for release, _, build in (version.partition("-") for version in _VERSIONS.split())
}
"""Build of each known release, eight hex digits as in its version; blank where it is unknown."""

KNOWN_RELEASES: list[Release] = sorted(BUILDS)
"""Releases that are named by a public source (controller-facts E and the documents it cites), oldest first."""

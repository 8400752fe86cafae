"""Every curl example of the controller reference, replayed over HTTP against the scenario that holds its objects.

Answers are compared key by key and type by type, and by value except for what an example leaves out by name. Ids and
values are those of the reference; B with a number is a row of section B of the controller facts.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import requests
import yaml
from urllib3.util import SKIP_HEADER

ROOT = Path(__file__).parent.parent
SCENARIO = ROOT / "scenarios" / "reference.yaml"
PATIENCE = 30
"""Seconds that the server may take to come up or to answer."""

CURL_COMMANDS = 28
"""How many curl commands the reference has, counted as they stand in its fenced blocks; the note on top has none."""

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
"""What curl -d sends when the example names no type."""

# Comparing answers.

Rule: TypeAlias = Callable[[Any, Any], bool]
"""Stands in for equality where a value is left out: takes what the example has and what was answered."""
LeftOut: TypeAlias = Mapping[str, Rule]
"""Rules by path; a star stands for anything."""


class Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


def kind(value: object) -> str:
    """The JSON type of a value; whole numbers and others are of one type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "nothing"


def identity(item: object) -> str | None:
    """What tells an item of a list from the others, if it has an id."""
    if not isinstance(item, dict):
        return None
    for holder in (item, item.get("request")):
        for key in ("instance_id", "node_id", "id", "request_id"):
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                return str(holder[key])
    return None


@dataclass
class Comparison:
    """Collects where an answer differs from the expected one, and which rules were needed on the way."""

    left_out: LeftOut = field(default_factory=dict)
    more: bool = False
    """Whether the list in the body may have items besides the expected ones."""
    found: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def compare(self, expected: object, actual: object, path: str = "") -> None:
        names = [name for name in self.left_out if fnmatchcase(path, name)]
        if names:
            self.used.update(names)
            if not all(self.left_out[name](expected, actual) for name in names):
                self.found.append(f"{path}: {actual!r} is not even like {expected!r}")
        elif kind(expected) != kind(actual):
            self.found.append(f"{path}: {actual!r} where {expected!r} should be")
        elif isinstance(expected, dict) and isinstance(actual, dict):
            for key in expected | actual:
                self.compare(expected.get(key, MISSING), actual.get(key, MISSING), f"{path}/{key}".lstrip("/"))
        elif isinstance(expected, list) and isinstance(actual, list):
            self._compare_items(expected, actual, path)
        elif expected != actual:
            self.found.append(f"{path}: {actual!r} instead of {expected!r}")

    def _compare_items(self, expected: list[object], actual: list[object], path: str) -> None:
        wanted = {identity(item): item for item in expected}
        if not expected or None in wanted:  # items without ids are told apart by their place
            for place, (one, other) in enumerate(zip_longest(expected, actual, fillvalue=MISSING)):
                self.compare(one, other, f"{path}/{place}")
            return
        there = {identity(item): item for item in actual}
        if None in there or len(there) < len(actual):
            self.found.append(f"{path}: an item without an id, or one id twice")
        for id, item in wanted.items():
            self.compare(item, there.get(id, MISSING), f"{path}/{id}")
        for id in there.keys() - wanted.keys() if path != "body" or not self.more else ():
            self.compare(MISSING, there[id], f"{path}/{id}")


def differences(expected: object, actual: object, left_out: LeftOut | None = None, more: bool = False) -> list[str]:
    comparison = Comparison(left_out or {}, more)
    comparison.compare(expected, actual)
    return comparison.found


def instant(text: object) -> tuple[float, int] | None:
    """Whole seconds and nanoseconds of an RFC 3339 time, or None if it is none."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", str(text))
    if match is None:
        return None
    return datetime.fromisoformat(match[1] + match[3]).timestamp(), int((match[2] or "0").ljust(9, "0"))


def same_instant(expected: object, actual: object) -> bool:
    """The same moment, in whatever zone."""
    return instant(actual) is not None and instant(actual) == instant(expected)


def not_before(expected: object, actual: object) -> bool:
    """A moment in UTC, the expected one or later."""
    was, now = instant(expected), instant(actual)
    return was is not None and now is not None and now >= was and str(actual).endswith("Z")


def minted(expected: object, actual: object) -> bool:
    """An id as the controller makes them: like UUID version 4, with a variant nibble of 4 to 7."""
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[4-7][0-9a-f]{3}-[0-9a-f]{12}"
    return isinstance(actual, str) and re.fullmatch(pattern, actual) is not None


def all_minted(expected: object, actual: object) -> bool:
    """As many minted ids, no two of them equal."""
    if not isinstance(expected, list) or not isinstance(actual, list):
        return False
    return len(expected) == len(actual) == len({*map(str, actual)}) and all(minted(None, id) for id in actual)


def share(expected: object, actual: object) -> bool:
    """A number from 0 to 1."""
    return kind(actual) == "number" and isinstance(actual, int | float) and 0 <= actual <= 1


def not_there(expected: object, actual: object) -> bool:
    """A key of the example that is not served."""
    return expected is not MISSING and actual is MISSING


def besides(value: object) -> Rule:
    """A key that the example lacks, with its value."""
    return lambda expected, actual: expected is MISSING and kind(actual) == kind(value) and actual == value


# The examples.

Scenario: TypeAlias = dict[str, Any]


def with_one_vm_on_the_node(scenario: Scenario) -> None:
    """The node examples count one VM of 2 cores and 2 GB where the instance examples run three."""
    first, others = "04b7ca7a-945c-4bdc-5123-68b2e4c8ad13", "MacPro-02.local"
    scenario["instances"] = [i for i in scenario["instances"] if i.get("id") == first or i["node"] != others]


def with_a_second_version(scenario: Scenario) -> None:
    """One example shows a template's only version, another reverts it: the only version is not reverted."""
    (template,) = [t for t in scenario["templates"] if t.get("id") == "00510971-5c37-4a60-a9c6-ea185397d9b4"]
    template["versions"].append({"tag": "t2", "size": "1GB"})


def before_it_is_saved(scenario: Scenario) -> None:
    """An instance can be saved while it is Started; once its request is pending, as listed, it is Pushing."""
    scenario["save_images"] = []


@dataclass(frozen=True)
class Example:
    """One curl command with the answer that the reference prints below it."""

    name: str
    method: str
    path: str
    answer: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    more: bool = False
    """A list: other examples' objects are there as well."""
    left_out: LeftOut = field(default_factory=dict)
    scenario: Callable[[Scenario], None] | None = None
    """What this example changes in the scenario, where the examples contradict each other."""


DONE = {"status": "OK", "message": ""}
REVERTED = {"status": "OK", "body": None, "message": ""}

FIRST_VM = {
    "anka_registry": "",
    "ts": "2019-12-25T16:06:20.681609561Z",
    "progress": 0,
    "vminfo": {
        "ip": "192.168.64.4",
        "status": "running",
        "cpu_cores": 2,
        "name": "mgmtManaged-build_vm3-MacPro-02.local-1574781776830830000",
        "port_forwarding": [{"Name": "ssh", "protocol": "tcp", "host_port": 10001, "guest_port": 22}],
        "ram": "2G",
        "vnc_port": 5902,
        "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
        "vnc_connection_string": "vnc://:@207.254.51.229:5902",
        "host_ip": "207.254.51.229",
        "uuid": "381e5c9f-d453-48dc-87a4-af6a2a98e46f",
    },
    "tag": "t1",
    "instance_state": "Started",
    "cr_time": "2019-11-26T15:22:52.221924626Z",
    "vmid": "a29dcb72-f663-469d-9d83-8c4641b2e5dd",
    "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
}
NODE = {
    "ip_address": "207.254.51.229",
    "cpu_count": 12,
    "capacity": 6,
    "node_name": "MacPro-02.local",
    "vm_count": 1,
    "usb_devices": None,
    "vcpu_count": 2,
    "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
    "cpu_util": 0.074900396,
    "vram": 2048,
    "ram_util": 0.03125,
    "state": "Active",
    "vcpu_override": 0,
    "anka_version": {
        "build": "112",
        "product": "Anka Build Enterpriseplus",
        "version": "2.1.2",
        "license": "com.veertu.anka.entplus",
    },
    "free_disk_space": 155624185856,
    "anka_disk_usage": 38274388000,
    "disk_size": 250135076864,
    "ram": 64,
    "ram_override": 0,
    "capacity_mode": "number",
}
DISTRIBUTION = {
    "request": {
        "time_requested": "2019-12-26T17:48:50.380949005+02:00",
        "template_id": "eaef3af8-cb54-4c3e-baf9-839053472f15",
        "request_id": "74efc824-2fcb-4e07-5e7d-7f9cc98e0ee5",
    },
    "distribute_status": {"64230242-321c-442a-bd96-d87edd0943a3": {"progress": 0, "status": False}},
}
SAVE_IMAGE = {
    "id": "cc55f7dd-5280-4120-461c-9b0ef9b40131",
    "status": "pending",
    "request": {
        "Suspend": True,
        "InstanceID": "cfc3cafd-d326-459d-7b3b-3c41b1a3efb7",
        "RequestId": "cc55f7dd-5280-4120-461c-9b0ef9b40131",
        "RegistryAddr": "http://192.168.1.108:8089",
        "NewTemplateName": "",
        "Priority": 0,
        "Description": "",
        "Timestamp": 1577364097,
        "NodeID": "64230242-321c-442a-bd96-d87edd0943a3",
        "RevertTag": "latest-vm-1801",
        "Tag": "my-new-vm-1901",
        "TemplateID": "cb1473f2-1f0a-413c-a376-236bfd7d718f",
        "Script": "",
        "RevertBeforePush": True,
        "VMID": "578a3be9-ad37-49c3-99fc-59c41b79dc59",
        "DoSuspendTest": False,
    },
    "error": None,
}
GROUP = {
    "fallback_group_id": None,
    "name": "GreateNodes",
    "description": "best of my macs",
    "id": "89a66167-62b1-42bb-5a0b-ff667906b8f5",
}
MEMBERSHIP = (
    '{"group_ids": ["e41d4b47-4c10-4264-5519-2d52af568bdd"], "node_ids": ["64230242-321c-442a-bd96-d87edd0943a3"]}'
)

EXAMPLES = [
    Example(
        "vm-start",
        "POST",
        "/api/v1/vm",
        headers=JSON,
        body='{"vmid": "6b135004-0c89-43bb-b892-74796b8d266c", "count": 2}',
        answer={
            "status": "OK",
            "message": "",
            "body": ["c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce", "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"],
        },
        left_out={"body": all_minted},  # new instances have new ids
    ),
    Example(
        "vm-update",
        "PUT",
        "/api/v1/vm?id=c0f36a87-41d9-44a8-66e1-6c5afae15b80",
        headers=JSON,
        body='{"name": "My VM name"}',
        answer=DONE,
    ),
    Example(
        "vm-terminate",
        "DELETE",
        "/api/v1/vm",
        headers=JSON,
        body='{"id": "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"}',
        answer=DONE,
    ),
    Example(
        "vm-list",
        "GET",
        "/api/v1/vm",
        headers=JSON,
        more=True,
        answer={
            "status": "OK",
            "body": [
                {
                    "instance_id": "04b7ca7a-945c-4bdc-5123-68b2e4c8ad13",
                    "name": "My VM",
                    "external_id": "ly79930",
                    "vm": FIRST_VM,
                },
                {
                    "vm": {
                        "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
                        "instance_state": "Started",
                        "cr_time": "2019-12-25T16:06:04.658586219Z",
                        "vmid": "6b135004-0c89-43bb-b892-74796b8d266c",
                        "vminfo": {
                            "status": "running",
                            "cpu_cores": 2,
                            "ip": "",
                            "name": "mgmtManaged-mojave-w-java-1577289969489444000",
                            "vnc_port": 5903,
                            "ram": "2G",
                            "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
                            "uuid": "4284cb1a-246c-4a2f-b773-ab18d6785957",
                            "host_ip": "207.254.51.229",
                            "vnc_connection_string": "vnc://:@207.254.51.229:5903",
                        },
                        "tag": "teamcity",
                        "anka_registry": "",
                        "ts": "2019-12-25T16:06:20.717627395Z",
                        "progress": 0,
                    },
                    "instance_id": "6d5b7632-6ace-433a-44d9-e0c25f56706b",
                },
                {
                    "vm": {
                        "tag": "teamcity",
                        "vminfo": {
                            "ip": "",
                            "tag": "teamcity",
                            "status": "running",
                            "cpu_cores": 2,
                            "name": "mojave-w-java-1577289976968997000",
                            "vnc_port": 5904,
                            "ram": "2G",
                            "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
                            "host_ip": "207.254.51.229",
                            "vnc_connection_string": "vnc://:admin@207.254.51.229:5904",
                            "uuid": "bfd4106c-2a88-462f-a545-50f832b7a0f7",
                        },
                        "progress": 1,
                        "anka_registry": "",
                        "ts": "2019-12-25T16:06:21.163835272Z",
                        "node_id": "f8707005-4630-4c9c-8403-c9c5964097f6",
                        "cr_time": "2019-12-25T16:06:04.763922869Z",
                        "vmid": "6b135004-0c89-43bb-b892-74796b8d266c",
                        "instance_state": "Started",
                    },
                    "instance_id": "9c623cc1-e489-4d02-4559-0c76492bec9f",
                },
            ],
            "message": "",
        },
        left_out={
            "body/*/vm/ts": not_before,  # moves with the node's heartbeat
            # One VM of three repeats the tag inside: a leftover of older agents, and the others contradict it.
            "body/9c623cc1-e489-4d02-4559-0c76492bec9f/vm/vminfo/tag": not_there,
        },
    ),
    Example(
        "vm-show",
        "GET",
        "/api/v1/vm?id=04b7ca7a-945c-4bdc-5123-68b2e4c8ad13",
        headers=JSON,
        answer={"message": "", "status": "OK", "body": {**FIRST_VM, "ts": "2019-12-26T08:57:48.392701636Z"}},
        left_out={"body/ts": not_before},  # moves with the node's heartbeat
    ),
    Example(
        "node-list",
        "GET",
        "/api/v1/node",
        headers=JSON,
        more=True,
        scenario=with_one_vm_on_the_node,
        answer={"body": [NODE], "status": "OK", "message": ""},
        left_out={"body/*/cpu_util": share},  # noise
    ),
    Example(
        "node-show",
        "GET",
        "/api/v1/node?id=f8707005-4630-4c9c-8403-c9c5964097f6",
        headers=JSON,
        scenario=with_one_vm_on_the_node,
        answer={
            "message": "",
            "status": "OK",
            "body": [
                {
                    **NODE,
                    "anka_version": {"license": "", "build": "", "product": "", "version": ""},
                    "capacity_mode": "",
                    "cpu_util": 0.08308069,
                }
            ],
        },
        left_out={"body/*/cpu_util": share},  # noise
    ),
    Example(
        "node-config",
        "POST",
        "/api/v1/node/config",
        headers=JSON,
        body='{"node_id": "f8707005-4630-4c9c-8403-c9c5964097f6", "name": "MacPro1", "max_vm_count": 6}',
        answer=DONE,
    ),
    Example(
        "node-delete",
        "DELETE",
        "/api/v1/node",
        headers=JSON,
        body='{"node_id": "f8707005-4630-4c9c-8403-c9c5964097f6"}',
        answer=DONE,
    ),
    Example(
        "template-list",
        "GET",
        "/api/v1/registry/vm",
        more=True,
        answer={
            "message": "",
            "body": [
                {"id": "0bf1a7e8-be95-43d9-a0c8-68c6aed0f2dd", "name": "jenkins-slave", "size": 16427892736},
                {"id": "1820b42d-6581-46af-bf42-f64caa1e9633", "name": "catalina", "size": 20643704832},
                {"id": "2fa0f10e-e91e-4665-8d42-00a39b9707de", "name": "Catalina-Xcode-11", "size": 17834520576},
                {"name": "CachedBuidMojave", "id": "36fc63bb-6841-4528-9480-a9c44dc2740d", "size": 15040651264},
                {"name": "android-2", "id": "59adf1a8-c239-11e8-821d-c4b301c47c6b", "size": 19698943312},
            ],
            "status": "OK",
        },
    ),
    Example(
        "template-show",
        "GET",
        "/api/v1/registry/vm?id=00510971-5c37-4a60-a9c6-ea185397d9b4",
        answer={
            "message": "",
            "body": {
                "name": "android-2",
                "id": "00510971-5c37-4a60-a9c6-ea185397d9b4",
                "versions": [
                    {
                        "config_file": "00510971-5c37-4a60-a9c6-ea185397d9b4.yaml",
                        "state_files": ["c19ba955c706475e9aeade79f174a925.ank"],
                        "number": 0,
                        "size": 16634568704,
                        "description": "",
                        "nvram": "nvram",
                        "images": [
                            "83e3eb9a2b694ddbb90f535ffae4cbb8.ank",
                            "fae1423d7c99419c92109c326162c2dd.ank",
                            "51f90db935494831a831dae51c9743e0.ank",
                            "2be4266d24704db2bacbbd258d0d6288.ank",
                            "2d07e328bfc449b58f74b3e08f8d049d.ank",
                            "06ad0ac5-af7a-11e8-884c-c4b301c47c6b.ank",
                            "237a78ab78254cde9f04f2cecaec21b7.ank",
                            "7ae0e540-cae2-11e8-b0c8-c4b301c47c6b.ank",
                            "916cd0f1087345659b70275bb8cc3101.ank",
                            "239bb374545141ceb481d495ec01683e.ank",
                            "4ef1b52304264ac2bacaa34903b7af9c.ank",
                            "d2da3f9b4faa49b1804af2adccf5bccd.ank",
                            "dd94fbf0-c6ed-11e8-920b-c4b301c47c6b.ank",
                            "daba8902e1d24636bc424ac44252a090.ank",
                            "d97298f5-a06c-11e8-964c-c4b301c47c6b.ank",
                            "85ab1ffd-af80-11e8-bd5e-c4b301c47c6b.ank",
                        ],
                        "tag": "t1",
                    }
                ],
            },
            "status": "OK",
        },
        # The model table has it and the example does not; section B says it is there (B16).
        left_out={"body/versions/0/state_file": besides("c19ba955c706475e9aeade79f174a925.ank")},
    ),
    Example(
        "template-delete",
        "DELETE",
        "/api/v1/registry/vm?id=00510971-5c37-4a60-a9c6-ea185397d9b4",
        answer=DONE,
    ),
    Example(
        "revert-latest",
        "DELETE",
        "/api/v1/registry/revert?id=00510971-5c37-4a60-a9c6-ea185397d9b4",
        scenario=with_a_second_version,
        answer=REVERTED,
    ),
    Example(
        "revert-number",
        "DELETE",
        "/api/v1/registry/revert?id=a3cc47f0-3a73-11e9-b515-c4b301c47c6b&number=0",
        answer=REVERTED,
    ),
    Example(
        "revert-tag",
        "DELETE",
        "/api/v1/registry/revert?id=a3cc47f0-3a73-11e9-b515-c4b301c47c6b&tag=p120190904183122",
        answer=REVERTED,
    ),
    Example(
        "distribute",
        "POST",
        "/api/v1/registry/vm/distribute",
        headers=FORM,
        body='{"template_id": "eaef3af8-cb54-4c3e-baf9-839053472f15"}',
        answer={"body": {"request_id": "74efc824-2fcb-4e07-5e7d-7f9cc98e0ee5"}, "message": "", "status": "OK"},
        left_out={"body/request_id": minted},  # a new request has a new id
    ),
    Example(
        "distribution-list",
        "GET",
        "/api/v1/registry/vm/distribute",
        more=True,
        answer={"message": "", "body": [DISTRIBUTION], "status": "OK"},
        left_out={"body/*/request/time_requested": same_instant},  # the zone is that of the controller's host
    ),
    Example(
        "distribution-show",
        "GET",
        "/api/v1/registry/vm/distribute?id=74efc824-2fcb-4e07-5e7d-7f9cc98e0ee5",
        answer={"status": "OK", "body": DISTRIBUTION, "message": ""},
        left_out={"body/request/time_requested": same_instant},  # the zone is that of the controller's host
    ),
    Example(
        "image-save",
        "POST",
        "/api/v1/image",
        headers=JSON,
        body='{"id": "cfc3cafd-d326-459d-7b3b-3c41b1a3efb7", "target_vm_id": "cb1473f2-1f0a-413c-a376-236bfd7d718f", '
        '"tag": "my-new-vm-1901", "revert_before_push": true, "revert_tag": "latest-vm-1801"}',
        scenario=before_it_is_saved,
        answer={"status": "OK", "body": {"request_id": "cc55f7dd-5280-4120-461c-9b0ef9b40131"}, "message": ""},
        left_out={"body/request_id": minted},  # a new request has a new id
    ),
    Example(
        "image-list",
        "GET",
        "/api/v1/image",
        more=True,
        answer={"body": [SAVE_IMAGE], "message": "", "status": "OK"},
    ),
    Example(
        "image-show",
        "GET",
        "/api/v1/image?id=cc55f7dd-5280-4120-461c-9b0ef9b40131",
        answer={"status": "OK", "message": "", "body": SAVE_IMAGE},
    ),
    Example(
        "group-create",
        "POST",
        "/api/v1/group",
        headers=FORM,
        body='{"name": "GreateNodes", "description": "best of my macs"}',
        answer={"status": "OK", "message": "", "body": GROUP},
        left_out={"body/id": minted},  # a new group has a new id
    ),
    Example(
        "group-list",
        "GET",
        "/api/v1/group",
        more=True,
        answer={"message": "", "body": [GROUP], "status": "OK"},
    ),
    Example(
        "group-update",
        "PUT",
        "/api/v1/group?id=89a66167-62b1-42bb-5a0b-ff667906b8f5",
        headers=FORM,
        body='{"name": "Creme-de-la-nodes", "description": "A selected group of my favorite computers"}',
        answer=DONE,
    ),
    Example(
        "group-delete",
        "DELETE",
        "/api/v1/group?id=89a66167-62b1-42bb-5a0b-ff667906b8f5",
        answer=DONE,
    ),
    Example(
        "nodes-join-group",
        "POST",
        "/api/v1/node/group",
        headers=FORM,
        body=MEMBERSHIP,
        answer=DONE,
    ),
    Example(
        "nodes-leave-group",
        "DELETE",
        "/api/v1/node/group",
        headers=FORM,
        body=MEMBERSHIP,
        answer=DONE,
    ),
    Example(
        "usb-list",
        "GET",
        "/api/v1/usb",
        answer={
            "message": "",
            "body": {"iphone7": {"available": 3, "busy": 1}, "tablet": {"available": 0, "busy": 2}},
            "status": "OK",
        },
    ),
]
by_example = pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])


# The server.


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server of the reference scenario, a process of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MOCKANKA_")}
    command = [sys.executable, "-m", "mockanka", "serve", "reference", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], PATIENCE)[0], "no ready line in time"
            ready = json.loads(process.stdout.readline())
            assert ready["pid"] == process.pid
            yield ready["url"]
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def curl() -> Iterator[requests.Session]:
    """Adds to a request what curl adds, and nothing else."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()
        session.headers.update({"User-Agent": "curl/7.64.1", "Accept": "*/*", "Accept-Encoding": SKIP_HEADER})
        yield session


def replay(curl: requests.Session, url: str, example: Example) -> requests.Response:
    """The answer to an example, from a controller on which nothing has happened yet."""
    curl.post(f"{url}/_mock/reset", json={"scenario": "reference"}, timeout=PATIENCE).raise_for_status()
    if example.scenario is not None:
        scenario = yaml.safe_load(SCENARIO.read_text(encoding="utf-8"))
        before = deepcopy(scenario)
        example.scenario(scenario)
        assert scenario != before
        curl.put(f"{url}/_mock/scenario", json=scenario, timeout=PATIENCE).raise_for_status()
    asked = requests.Request(example.method, url + example.path, headers=example.headers, data=example.body)
    prepared = curl.prepare_request(asked)
    if example.body is None:
        prepared.headers.pop("Content-Length", None)
    return curl.send(prepared, timeout=PATIENCE)


# What is claimed.


@by_example
def test_an_example_is_answered_as_the_reference_prints_it(curl: requests.Session, url: str, example: Example) -> None:
    """Keys, types and values are those of the example, but for what it leaves out by name; no name is left out idly."""
    answer = replay(curl, url, example)
    comparison = Comparison(example.left_out, example.more)
    comparison.compare(example.answer, answer.json())
    assert comparison.found == []
    assert comparison.used == {*example.left_out}
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_as_many_examples_are_replayed_as_the_reference_has_curl_commands() -> None:
    """Every curl command of the reference is replayed once."""
    assert len(EXAMPLES) == CURL_COMMANDS
    assert len({(example.method, example.path, example.body) for example in EXAMPLES}) == CURL_COMMANDS
    assert len({example.name for example in EXAMPLES}) == CURL_COMMANDS


def test_the_scenario_names_its_release_and_stands_still() -> None:
    """The reference scenario is of release 1.8.0 and seed 0, its clock is manual, and it begins with a sentence."""
    text = SCENARIO.read_text(encoding="utf-8")
    scenario = yaml.safe_load(text)
    assert scenario["controller"]["release"] == "1.8.0"
    assert scenario["seed"] == 0
    assert scenario["clock"]["mode"] == "manual"
    assert re.fullmatch(r"# [A-Z].*\.", text.partition("\n")[0])


def test_the_contradiction_that_the_node_examples_avoid_is_there(curl: requests.Session, url: str) -> None:
    """With all instances of the examples the node runs three VMs, and differs from its example in just their counts."""
    (example,) = [each for each in EXAMPLES if each.name == "node-list"]
    everything = Example("", example.method, example.path, example.answer, example.headers)
    answer = replay(curl, url, everything).json()
    found = differences(example.answer, answer, example.left_out, example.more)
    node = f"body/{NODE['node_id']}"
    assert sorted(found) == [
        f"{node}/ram_util: 0.09375 instead of 0.03125",
        f"{node}/vcpu_count: 6 instead of 2",
        f"{node}/vm_count: 3 instead of 1",
        f"{node}/vram: 6144 instead of 2048",
    ]


# The comparison itself.


def faults(value: object) -> Iterator[tuple[str, object]]:
    """The value with one fault, in every place and of every kind there is: a name for it, and what it makes."""
    if value is not None:
        yield "null", None
    match value:
        case None:
            yield "no null", ""
        case dict():
            yield "one key more", {**value, "planted": 1}
            for key, below in value.items():
                yield f"{key}: missing", {other: value[other] for other in value if other != key}
                yield from ((f"{key}: {what}", {**value, key: wrong}) for what, wrong in faults(below))
        case list():
            for place, below in enumerate(value):
                before, after = value[:place], value[place + 1 :]
                yield f"{place}: missing", before + after
                yield f"{place}: twice", [*before, below, below, *after]
                yield from ((f"{place}: {what}", [*before, wrong, *after]) for what, wrong in faults(below))
        case bool():
            yield "other value", not value
            yield "other type", int(value)
        case int() | float():
            yield "other value", value + 1
            yield "other type", str(value)
            yield "other type", bool(value)
        case str():
            yield "other value", f"{value}x"
            yield "other type", 0


@by_example
def test_a_planted_fault_is_found(example: Example) -> None:
    """A wrong value, a missing or additional key and a wrong type are found wherever in an answer they stand."""
    assert differences(example.answer, deepcopy(example.answer), more=example.more) == []
    planted = list(faults(example.answer))
    assert len(planted) > 2 * len(example.answer)
    assert [what for what, wrong in planted if not differences(example.answer, wrong, more=example.more)] == []


def test_items_in_excess_are_found_unless_the_list_may_have_more() -> None:
    """Another item passes in the body of an example that is a list, and nowhere else."""
    expected = {"body": [{"id": "a", "ports": [{"id": "p"}]}]}
    more = {"body": [*expected["body"], {"id": "b", "ports": []}]}
    deeper = {"body": [{"id": "a", "ports": [{"id": "p"}, {"id": "q"}]}]}
    assert differences(expected, more, more=True) == []
    assert len(differences(expected, more)) == 1
    assert len(differences(expected, deeper, more=True)) == 1


def test_the_order_of_items_counts_only_where_they_have_no_ids() -> None:
    """Items with ids are found wherever they stand; texts must keep their place."""
    assert differences({"body": [{"id": "a"}, {"id": "b"}]}, {"body": [{"id": "b"}, {"id": "a"}]}) == []
    assert len(differences({"images": ["a", "b"]}, {"images": ["b", "a"]})) == 2


def test_numbers_are_of_one_type() -> None:
    """0 and 0.0 are the same, but neither is false, null or a text."""
    assert differences({"progress": 0}, {"progress": 0.0}) == []
    assert all(differences({"progress": 0}, {"progress": other}) for other in (False, None, "0", 0.5))


@pytest.mark.parametrize(
    ("rule", "expected", "right", "wrong"),
    [
        (not_before, "2019-12-25T16:06:20.7Z", "2019-12-25T16:06:20.700000001Z", "2019-12-25T16:06:20.699999999Z"),
        (not_before, "2019-12-25T16:06:20.7Z", "2019-12-25T16:06:20.7Z", "2019-12-26T16:06:20.7"),
        (not_before, "2019-12-25T16:06:20.7Z", "2020-01-01T00:00:00Z", None),
        (same_instant, "2019-12-26T17:48:50.5+02:00", "2019-12-26T15:48:50.5Z", "2019-12-26T17:48:50.5Z"),
        (same_instant, "2019-12-26T17:48:50.5+02:00", "2019-12-26T16:48:50.5+01:00", 1577375330),
        (minted, "", "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce", "c983c3bf-a0c0-43dc-84dc-2fd9f7d62fce"),
        (minted, "", "c983c3bf-a0c0-43dc-74dc-2fd9f7d62fce", "c983c3bf-a0c0-13dc-74dc-2fd9f7d62fce"),
        (minted, "", "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2", MISSING),
        (all_minted, [""], ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"], ["e74dfc0e"]),
        (all_minted, [""], ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"], "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"),
        (
            all_minted,
            ["", ""],
            ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2", "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"],
            ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2", "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"],
        ),
        (share, 0.07, 0, 1.5),
        (share, 0.07, 0.1, "0.1"),
        (share, 0.07, 1, True),
        (not_there, "teamcity", MISSING, "teamcity"),
        (besides("there.ank"), MISSING, "there.ank", MISSING),
        (besides("there.ank"), MISSING, "there.ank", "other.ank"),
    ],
)
def test_what_is_left_out_must_still_have_its_shape(rule: Rule, expected: object, right: object, wrong: object) -> None:
    """A value that is not compared is still checked for what it must be."""
    assert differences({"body": expected}, {"body": right}, {"body": rule}) == []
    assert len(differences({"body": expected}, {"body": wrong}, {"body": rule})) == 1

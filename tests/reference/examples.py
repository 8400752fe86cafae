"""The curl examples of the controller reference, with the responses that it prints.

Ids and values are those of the reference; B with a number is a row of section B of the controller facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.reference.comparison import (
    LeftOut,
    additional,
    are_new_ids,
    is_new_id,
    is_not_before,
    is_not_served,
    is_same_instant,
    is_share,
)

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
"""The content type that curl -d sends when the example has none."""


Scenario: TypeAlias = dict[str, Any]


def with_one_vm_on_the_node(scenario: Scenario) -> None:
    """Keep one VM on the node: its examples count one of 2 cores and 2 GB, those of instances run three."""
    first_id, node_name = "04b7ca7a-945c-4bdc-5123-68b2e4c8ad13", "MacPro-02.local"
    scenario["instances"] = [
        instance
        for instance in scenario["instances"]
        if instance.get("id") == first_id or instance["node"] != node_name
    ]


def without_save_images(scenario: Scenario) -> None:
    """Remove the save image requests: an instance whose request is pending is not Started, and cannot be saved."""
    scenario["save_images"] = []


@dataclass(frozen=True)
class Example:
    """A curl command and the response that the reference prints below it."""

    name: str
    method: str
    path: str
    response: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    may_have_more: bool = False
    """True if the list in the body also has objects of other examples."""
    left_out: LeftOut = field(default_factory=dict)
    adapt: Callable[[Scenario], None] | None = None
    """Changes the scenario for this example, where the examples contradict each other."""


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
        response={
            "status": "OK",
            "message": "",
            "body": ["c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce", "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"],
        },
        left_out={"body": are_new_ids},  # new instances have new ids
    ),
    Example(
        "vm-update",
        "PUT",
        "/api/v1/vm?id=c0f36a87-41d9-44a8-66e1-6c5afae15b80",
        headers=JSON,
        body='{"name": "My VM name"}',
        response=DONE,
    ),
    Example(
        "vm-terminate",
        "DELETE",
        "/api/v1/vm",
        headers=JSON,
        body='{"id": "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"}',
        response=DONE,
    ),
    Example(
        "vm-list",
        "GET",
        "/api/v1/vm",
        headers=JSON,
        may_have_more=True,
        response={
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
            "body/*/vm/ts": is_not_before,  # moves with the node's heartbeat
            # One VM of three repeats the tag inside: a leftover of older agents, and the others contradict it.
            "body/9c623cc1-e489-4d02-4559-0c76492bec9f/vm/vminfo/tag": is_not_served,
        },
    ),
    Example(
        "vm-show",
        "GET",
        "/api/v1/vm?id=04b7ca7a-945c-4bdc-5123-68b2e4c8ad13",
        headers=JSON,
        response={"message": "", "status": "OK", "body": {**FIRST_VM, "ts": "2019-12-26T08:57:48.392701636Z"}},
        left_out={"body/ts": is_not_before},  # moves with the node's heartbeat
    ),
    Example(
        "node-list",
        "GET",
        "/api/v1/node",
        headers=JSON,
        may_have_more=True,
        adapt=with_one_vm_on_the_node,
        response={"body": [NODE], "status": "OK", "message": ""},
        left_out={"body/*/cpu_util": is_share},  # noise
    ),
    Example(
        "node-show",
        "GET",
        "/api/v1/node?id=f8707005-4630-4c9c-8403-c9c5964097f6",
        headers=JSON,
        adapt=with_one_vm_on_the_node,
        response={
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
        left_out={"body/*/cpu_util": is_share},  # noise
    ),
    Example(
        "node-config",
        "POST",
        "/api/v1/node/config",
        headers=JSON,
        body='{"node_id": "f8707005-4630-4c9c-8403-c9c5964097f6", "name": "MacPro1", "max_vm_count": 6}',
        response=DONE,
    ),
    Example(
        "node-delete",
        "DELETE",
        "/api/v1/node",
        headers=JSON,
        body='{"node_id": "f8707005-4630-4c9c-8403-c9c5964097f6"}',
        response=DONE,
    ),
    Example(
        "template-list",
        "GET",
        "/api/v1/registry/vm",
        may_have_more=True,
        response={
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
        response={
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
        left_out={"body/versions/0/state_file": additional("c19ba955c706475e9aeade79f174a925.ank")},
    ),
    Example(
        "template-delete",
        "DELETE",
        "/api/v1/registry/vm?id=00510971-5c37-4a60-a9c6-ea185397d9b4",
        response=DONE,
    ),
    Example(
        "revert-latest",
        "DELETE",
        "/api/v1/registry/revert?id=00510971-5c37-4a60-a9c6-ea185397d9b4",
        response=REVERTED,
    ),
    Example(
        "revert-number",
        "DELETE",
        "/api/v1/registry/revert?id=a3cc47f0-3a73-11e9-b515-c4b301c47c6b&number=0",
        response=REVERTED,
    ),
    Example(
        "revert-tag",
        "DELETE",
        "/api/v1/registry/revert?id=a3cc47f0-3a73-11e9-b515-c4b301c47c6b&tag=p120190904183122",
        response=REVERTED,
    ),
    Example(
        "distribute",
        "POST",
        "/api/v1/registry/vm/distribute",
        headers=FORM,
        body='{"template_id": "eaef3af8-cb54-4c3e-baf9-839053472f15"}',
        response={"body": {"request_id": "74efc824-2fcb-4e07-5e7d-7f9cc98e0ee5"}, "message": "", "status": "OK"},
        left_out={"body/request_id": is_new_id},  # a new request has a new id
    ),
    Example(
        "distribution-list",
        "GET",
        "/api/v1/registry/vm/distribute",
        may_have_more=True,
        response={"message": "", "body": [DISTRIBUTION], "status": "OK"},
        left_out={"body/*/request/time_requested": is_same_instant},  # the zone is that of the controller's host
    ),
    Example(
        "distribution-show",
        "GET",
        "/api/v1/registry/vm/distribute?id=74efc824-2fcb-4e07-5e7d-7f9cc98e0ee5",
        response={"status": "OK", "body": DISTRIBUTION, "message": ""},
        left_out={"body/request/time_requested": is_same_instant},  # the zone is that of the controller's host
    ),
    Example(
        "image-save",
        "POST",
        "/api/v1/image",
        headers=JSON,
        body='{"id": "cfc3cafd-d326-459d-7b3b-3c41b1a3efb7", "target_vm_id": "cb1473f2-1f0a-413c-a376-236bfd7d718f", '
        '"tag": "my-new-vm-1901", "revert_before_push": true, "revert_tag": "latest-vm-1801"}',
        adapt=without_save_images,
        response={"status": "OK", "body": {"request_id": "cc55f7dd-5280-4120-461c-9b0ef9b40131"}, "message": ""},
        left_out={"body/request_id": is_new_id},  # a new request has a new id
    ),
    Example(
        "image-list",
        "GET",
        "/api/v1/image",
        may_have_more=True,
        response={"body": [SAVE_IMAGE], "message": "", "status": "OK"},
    ),
    Example(
        "image-show",
        "GET",
        "/api/v1/image?id=cc55f7dd-5280-4120-461c-9b0ef9b40131",
        response={"status": "OK", "message": "", "body": SAVE_IMAGE},
    ),
    Example(
        "group-create",
        "POST",
        "/api/v1/group",
        headers=FORM,
        body='{"name": "GreateNodes", "description": "best of my macs"}',
        response={"status": "OK", "message": "", "body": GROUP},
        left_out={"body/id": is_new_id},  # a new group has a new id
    ),
    Example(
        "group-list",
        "GET",
        "/api/v1/group",
        may_have_more=True,
        response={"message": "", "body": [GROUP], "status": "OK"},
    ),
    Example(
        "group-update",
        "PUT",
        "/api/v1/group?id=89a66167-62b1-42bb-5a0b-ff667906b8f5",
        headers=FORM,
        body='{"name": "Creme-de-la-nodes", "description": "A selected group of my favorite computers"}',
        response=DONE,
    ),
    Example(
        "group-delete",
        "DELETE",
        "/api/v1/group?id=89a66167-62b1-42bb-5a0b-ff667906b8f5",
        response=DONE,
    ),
    Example(
        "nodes-join-group",
        "POST",
        "/api/v1/node/group",
        headers=FORM,
        body=MEMBERSHIP,
        response=DONE,
    ),
    Example(
        "nodes-leave-group",
        "DELETE",
        "/api/v1/node/group",
        headers=FORM,
        body=MEMBERSHIP,
        response=DONE,
    ),
    Example(
        "usb-list",
        "GET",
        "/api/v1/usb",
        response={
            "message": "",
            "body": {"iphone7": {"available": 3, "busy": 1}, "tablet": {"available": 0, "busy": 2}},
            "status": "OK",
        },
    ),
]

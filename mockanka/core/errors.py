"""Errors with which the controller refuses requests, in one tree.

Refusal
├── NotFound                 an unknown id in the path or the query
├── NoSuchTemplate           a start of a template that is not in the registry
├── NoSuchTag                a tag that the template does not have
├── NoVersionsWithTag        a tag to revert that the template does not have
├── NoSuchVersion            a version number that the template does not have
├── NoSuchNode, NoSuchGroup, NoSuchUsbDevice, NoSuchVlan
│                            something else that a request refers to and that does not exist
├── NoFreeUsbDevice          a restart with a device that is not free on the node
├── NotRunning               a save or a restart of an instance that is not Started
├── NoSaveTarget             a save without a template to push to
├── NodeDiskFull             a pull to a node without room for it
├── InvalidMacAddress, MacAddressInUse, NoFreeMacAddress
│                            a MAC address that is invalid, that another instance has, or that is not left
├── InvalidScript            a startup script that is not base64
├── ScriptTooLarge           a startup script larger than 10 MB
├── NeedsLicense             a feature that the licence does not include
├── RegistryDown             the registry cannot be reached
├── RegistryFull             the registry has no room for a push
└── UnknownToRelease         a state that only a later release of the controller has

IllegalTransition is not a refusal of the controller.

The text of a refusal is the ``message`` that a client reads. Texts that were seen on the wire are listed in
controller-facts A0.4. Each of the others is a guess, and its class says so.
"""


class Refusal(Exception):
    """Refused request: the controller answers FAIL, with ``str(refusal)`` as the message."""


class NotFound(Refusal):
    """Unknown id (controller-facts A0.4, A2.1, A6, A11)."""

    def __init__(self) -> None:
        super().__init__("Not found")


class NoSuchTemplate(Refusal):
    """Unknown template in a start (controller-facts A0.4, A1). Guess: also in a distribution and a save."""

    def __init__(self) -> None:
        super().__init__("VM not in the registry")


class NoSuchTag(Refusal):
    """Unknown tag (controller-facts A0.4). The tag is not quoted: clients compare the text."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"No such tag {tag}")


class NoVersionsWithTag(Refusal):
    """Unknown tag of a revert, in the words of the registry, whose answer is relayed (controller-facts A0.4)."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"Did not find any versions with tag {tag}")


class NoSuchVersion(Refusal):
    """Unknown version number. Guess: the text is unknown (controller-facts A1)."""

    def __init__(self, number: int) -> None:
        super().__init__(f"No such version {number}")


class NoSuchNode(Refusal):
    """Unknown node that a request refers to. Guess: the text is unknown (A1)."""

    def __init__(self, node_id: str) -> None:
        super().__init__(f"No such node {node_id}")


class NoSuchGroup(Refusal):
    """Unknown node group that a request refers to. Guess: the text is unknown (A1)."""

    def __init__(self, group_id: str) -> None:
        super().__init__(f"No such group {group_id}")


class NoSuchUsbDevice(Refusal):
    """USB device whose name or location no node has. Guess: the text is unknown (A1)."""

    def __init__(self, device: str) -> None:
        super().__init__(f"No such USB device {device}")


class NoFreeUsbDevice(Refusal):
    """Restart with a USB device that is not free on the node. Guess: that it is refused, and the text (A5)."""

    def __init__(self, device: str) -> None:
        super().__init__(f"No free USB device {device}")


class NotRunning(Refusal):
    """Save or restart of an instance that is not Started. Guess: the text is unknown (A19)."""

    def __init__(self, state: str) -> None:
        super().__init__(f"Instance is not running, its state is {state}")


class NoSaveTarget(Refusal):
    """Save with neither target_vm_id nor new_template_name. Guess: the text is unknown (A19, B15)."""

    def __init__(self) -> None:
        super().__init__("One of target_vm_id and new_template_name is required")


class NodeDiskFull(Refusal):
    """Pull to a node that has no room for it, even if it drops cached templates. Guess: the text."""

    def __init__(self, node_name: str, wanted: int, free: int) -> None:
        super().__init__(f"no space left on node {node_name}: the pull needs {wanted} bytes, {free} can be freed")


class InvalidScript(Refusal):
    """Startup script that is not base64. Guess: that it is refused, with the text of Go's decoder (C4)."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")


class ScriptTooLarge(Refusal):
    """Startup script that is larger than 10 MB. Guess: the limit, and the text."""

    def __init__(self) -> None:
        super().__init__("startup script is larger than 10 MB")


class NoSuchVlan(Refusal):
    """VLAN that no node has. Guess: that it is refused, and the text (A1)."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"No such VLAN {tag}")


class InvalidMacAddress(Refusal):
    """MAC address that is not written in capitals with colons (A1). Guess: the text."""

    def __init__(self, address: str) -> None:
        super().__init__(f"invalid MAC address {address}")


class MacAddressInUse(Refusal):
    """MAC address that another instance has. Guess: that it is refused, and the text."""

    def __init__(self, address: str) -> None:
        super().__init__(f"MAC address {address} is in use")


class NoFreeMacAddress(Refusal):
    """Start when no MAC address is left. Guess: that it is refused, and the text."""

    def __init__(self) -> None:
        super().__init__("no MAC address is left")


class NeedsLicense(Refusal):
    """Feature that only Enterprise licences include (C14). Guess: that it is refused and not ignored, and the text."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} requires an Enterprise license")


class RegistryDown(Refusal):
    """Registry that cannot be reached. Guess: the text is unknown."""

    def __init__(self) -> None:
        super().__init__("the registry cannot be reached")


class RegistryFull(Refusal):
    """Registry without room for a push. Guess: the text is unknown."""

    def __init__(self) -> None:
        super().__init__("no space left on the registry")


class UnknownToRelease(Refusal):
    """State or condition that the simulated release does not have yet.

    No client of the controller reads it; it answers tests and the control API.
    """

    def __init__(self, what: str, release: object, since: object) -> None:
        super().__init__(f"release {release} knows no {what}: it came with {since}")


class IllegalTransition(Exception):
    """Transition that the life cycle does not have.

    A test may ask for one; a request that leads to one shows a bug in mockanka.
    """

"""Every refusal the controller can give, as one tree.

Refusal
├── NotFound                 an id that names nothing
├── NoSuchTemplate           POST vm for a template the registry does not have
├── NoSuchTag                a tag the template does not have
├── NoSuchVersion            a version number the template does not have
├── NoSuchNode, NoSuchGroup, NoSuchUsbDevice, NoFreeUsbDevice
│                            something a request leans on does not exist
├── NotRunning               save image of an instance that is not Started
├── NoTarget                 save image without a template to push to
├── OnlyVersion              a revert that asks for the last version there is
├── NodeDiskFull             a node without room for a pull
├── NoSuchVlan               a VLAN that no node has
├── BrokenMacAddress, MacAddressTaken, NoMacAddress
│                            a MAC address that is none, or another's, or that is not left
├── BrokenScript             a startup script that is not base64
├── ScriptTooLong            a startup script above 10 MB
├── NeedsLicense             what the licence does not include
├── RegistryDown             the registry cannot be reached
├── RegistryFull             the registry has no room for a push
└── UnknownToRelease         a state that came with a later release of the controller

IllegalMove is no refusal: it says that mockanka itself is wrong.

A refusal's text is what a client reads in ``message``. Texts that were seen on the wire stand in
controller-facts A0.4; each of the others is a guess, and its class says so.
"""


class Refusal(Exception):
    """What the controller answers with FAIL. ``str(refusal)`` is the message on the wire."""


class NotFound(Refusal):
    """Unknown id (controller-facts A0.4, A2.1, A6, A11)."""

    def __init__(self) -> None:
        super().__init__("Not found")


class NoSuchTemplate(Refusal):
    """Unknown template in POST vm (controller-facts A0.4, A1); for distribution and save image it is a guess."""

    def __init__(self) -> None:
        super().__init__("VM not in the registry")


class NoSuchTag(Refusal):
    """Unknown tag (controller-facts A0.4): plain concatenation, no quotes, for clients compare it."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"No such tag {tag}")


class NoSuchVersion(Refusal):
    """Unknown version number. Guess: the text is unknown (controller-facts A1)."""

    def __init__(self, number: int) -> None:
        super().__init__(f"No such version {number}")


class NoSuchNode(Refusal):
    """Unknown node in a request that leans on one. Guess: the text is unknown (A1)."""

    def __init__(self, node_id: str) -> None:
        super().__init__(f"No such node {node_id}")


class NoSuchGroup(Refusal):
    """Unknown node group in a request that leans on one. Guess: the text is unknown (A1)."""

    def __init__(self, group_id: str) -> None:
        super().__init__(f"No such group {group_id}")


class NoSuchUsbDevice(Refusal):
    """No node has a USB device of that name or location. Guess: the text is unknown (A1)."""

    def __init__(self, device: str) -> None:
        super().__init__(f"No such USB device {device}")


class NoFreeUsbDevice(Refusal):
    """The node of an instance that restarts has no such device free. Guess: refused, and the text (A5)."""

    def __init__(self, device: str) -> None:
        super().__init__(f"No free USB device {device}")


class NotRunning(Refusal):
    """Save image of an instance that is not Started. Guess: the text is unknown (A19)."""

    def __init__(self, state: str) -> None:
        super().__init__(f"Instance is not running, its state is {state}")


class NoTarget(Refusal):
    """Save image with neither target_vm_id nor new_template_name. Guess: the text is unknown (A19, B15)."""

    def __init__(self) -> None:
        super().__init__("One of target_vm_id and new_template_name is required")


class OnlyVersion(Refusal):
    """Revert of a template's only version. Guess: refused, as controller-facts G proposes."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"Cannot revert {tag}: it is the template's only version")


class NodeDiskFull(Refusal):
    """A node cannot make room for a pull, not even by dropping cached templates. Guess: the text."""

    def __init__(self, node_name: str, wanted: int, free: int) -> None:
        super().__init__(f"no space left on node {node_name}: the pull needs {wanted} bytes, {free} can be freed")


class BrokenScript(Refusal):
    """A startup script that is not base64. Guess: refused, with the decoder's words (C4)."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")


class ScriptTooLong(Refusal):
    """A startup script above 10 MB. Guess: the limit, and the text."""

    def __init__(self) -> None:
        super().__init__("startup script is larger than 10 MB")


class NoSuchVlan(Refusal):
    """No node has that VLAN. Guess: refused, and the text (A1)."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"No such VLAN {tag}")


class BrokenMacAddress(Refusal):
    """What is asked for is no MAC address in capitals with colons (A1). Guess: the text."""

    def __init__(self, address: str) -> None:
        super().__init__(f"invalid MAC address {address}")


class MacAddressTaken(Refusal):
    """The MAC address that is asked for belongs to another instance. Guess: refused, and the text."""

    def __init__(self, address: str) -> None:
        super().__init__(f"MAC address {address} is in use")


class NoMacAddress(Refusal):
    """The pool of MAC addresses is used up. Guess: refused, and the text."""

    def __init__(self) -> None:
        super().__init__("no MAC address is left")


class NeedsLicense(Refusal):
    """What only the Enterprise licences include (C14). Guess: refused rather than ignored, and the text."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} requires an Enterprise license")


class RegistryDown(Refusal):
    """The registry cannot be reached. Guess: what the controller says then is unknown."""

    def __init__(self) -> None:
        super().__init__("the registry cannot be reached")


class RegistryFull(Refusal):
    """The registry's disk is full. Guess: the text is unknown."""

    def __init__(self) -> None:
        super().__init__("no space left on the registry")


class UnknownToRelease(Refusal):
    """Something that the simulated release does not know yet. No client reads it: it is for who steers."""

    def __init__(self, what: str, release: object, since: object) -> None:
        super().__init__(f"release {release} knows no {what}: it came with {since}")


class IllegalTransition(Exception):
    """An instance was about to make a move the life cycle does not know: a fault in mockanka."""

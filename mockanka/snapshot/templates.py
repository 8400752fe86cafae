"""The templates section, with templates that the registry no longer has but nodes or instances still name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mockanka import units
from mockanka.snapshot.commented_yaml import CommentedMap
from mockanka.snapshot.fetch import FetchedState
from mockanka.snapshot.file_sizes import SizeSum, solve_file_sizes
from mockanka.snapshot.reader import JsonObject, JsonReader

TEMPLATE_LIMITATIONS = (
    "Not returned by the API: cpus, ram and port_forwarding of templates, and ports of versions. "
    "The values here are those of a VM of the template."
)
ARCHITECTURES = ("amd64", "arm64")
_NOT_IN_REGISTRY = "is no longer in the registry: its size and files are unknown"


@dataclass
class KnownTemplate:
    """A template that the registry, a node or an instance names.

    A version's place in ``versions`` is its serial in the scenario.
    """

    id: str
    name: str
    deleted: bool = False
    arch: str | None = None
    versions: list[CommentedMap] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def listed_versions(self) -> list[CommentedMap]:
        """The versions that the registry has."""
        return [version for version in self.versions if not version.get("deleted")]


class TemplateIndex:
    """All known templates, and how a scenario refers to them and their versions."""

    def __init__(self, state: FetchedState) -> None:
        self.templates: dict[str, KnownTemplate] = {}
        self.shows_arch = any("arch" in template for template in state.templates) or any(
            "host_arch" in node for node in state.nodes
        )
        """True if the release returns architectures."""
        self.moments: list[int] = []
        """When versions and templates were pushed and pulled."""
        # A file that is in no sum, because no size is returned for its versions, counts as empty.
        file_sizes = defaultdict(int, solve_file_sizes(list(_size_sums(state.templates))))
        for template in map(JsonReader, state.templates):
            self._add_listed(template, file_sizes)
        for node in map(JsonReader, state.nodes):
            for cached in node.children("templates"):
                if (id := cached.text("uuid")) is not None:
                    self.get(id, cached.text("name"))
        for path, message in state.refused.items():
            id = path.removeprefix("registry/vm?id=")
            if id in self.templates:
                self.templates[id].comments.append(f"Its versions could not be read: {message}")

    def section(self, vms: list[tuple[str, JsonReader]]) -> list[CommentedMap]:
        """Return the section; ``vms`` are the VMs of instances, each with the id of its template."""
        return [_template_item(template, vms, self.shows_arch) for template in self.templates.values()]

    def get(self, id: str, name: str | None = None, arch: str | None = None) -> KnownTemplate:
        """Return a template. One that the registry does not list is added as deleted.

        Its ``arch`` is that of the first instance that has one, unless the registry has told it.
        """
        if id not in self.templates:
            template = KnownTemplate(id, name or id, True)
            template.comments.append(f"It {_NOT_IN_REGISTRY}{'' if name else ', and so is its name'}.")
            self.templates[id] = template
        template = self.templates[id]
        if template.arch is None and arch in ARCHITECTURES:
            template.arch = arch
        return template

    def reference(self, id: str) -> str:
        """Return the name of a known template if that is unique, else the id."""
        names = Counter(template.name for template in self.templates.values())
        template = self.templates[id]
        unique = names[template.name] == 1 and template.name not in self.templates
        return template.name if unique and not template.deleted else id

    def version_keys(self, template: KnownTemplate, tag: str | None, number: int | None) -> JsonObject:
        """Return the keys that select a version in a scenario: ``tag``, ``version`` or ``serial``; none for the latest.

        A tag that several versions have selects the newest, as it does for the controller. A version that the registry
        does not have is added to the template as deleted, and selected by its serial.
        """
        keys: JsonObject = {key: value for key, value in (("tag", tag), ("version", number)) if value is not None}
        versions = template.listed_versions
        has_tag = tag is None or any(version["tag"] == tag for version in versions)
        has_number = number is None or any(version.get("number") == number for version in versions)
        if versions and has_tag and has_number:
            return keys
        return {**keys, "serial": self._deleted_serial(template, tag or "", number)}

    def serial(self, template: KnownTemplate, keys: JsonObject) -> int:
        """Return the serial of the version that ``version_keys`` selects."""
        if "serial" in keys:
            return int(keys["serial"])
        serials = [serial for serial, version in enumerate(template.versions) if not version.get("deleted")]
        for key, version_key in (("version", "number"), ("tag", "tag")):
            if key in keys:
                serials = [serial for serial in serials if template.versions[serial].get(version_key) == keys[key]]
        return serials[-1]

    def cached_item(self, template: KnownTemplate, tag: str) -> JsonObject | str:
        """Return how a node's ``cached`` list names the version with a tag, which may be empty."""
        serials = [
            serial
            for serial, version in enumerate(template.versions)
            if version["tag"] == tag and not version.get("deleted")
        ]
        name = self.reference(template.id)
        # The scenario takes the longest name that matches before a colon, so names with colons are not written as text.
        if serials and tag and ":" not in name + tag:
            return f"{name}:{tag}"
        serial = serials[-1] if serials else self._deleted_serial(template, tag, None)
        return {"template": template.id, "serial": serial}

    def cached_item_at(self, place: JsonObject) -> JsonObject | str:
        """Return how a node's ``cached`` list names the version with a template id and a serial."""
        template = self.templates[place["template"]]
        version = template.versions[place["serial"]]
        item = place if version.get("deleted") else self.cached_item(template, version["tag"])
        return item if isinstance(item, str) else place

    def _deleted_serial(self, template: KnownTemplate, tag: str, number: int | None) -> int:
        """Return the serial of a version that the registry does not have; it is added if it is new."""
        for serial, version in enumerate(template.versions):
            if version.get("deleted") and version["tag"] == tag and number in (None, version["number"]):
                return serial
        version = CommentedMap(tag=tag, number=number or 0, images=[], deleted=True)
        version.comments.append(f"This version {_NOT_IN_REGISTRY}.")
        template.versions.append(version)
        return len(template.versions) - 1

    def _add_listed(self, reader: JsonReader, file_sizes: dict[str, int]) -> None:
        id = reader.text("id")
        if id is None or id in self.templates:
            return
        name = reader.text("name")
        template = KnownTemplate(id, name or id)
        template.arch = arch if (arch := reader.text("arch")) in ARCHITECTURES else None
        if name is None:
            template.comments.append("It has no name: here it is the id.")
        versions = reader.children("versions")
        template.versions += [self._version(version, file_sizes) for version in versions]
        template.comments += _size_remark(
            reader, file_sizes, {name for version in versions for name in _files(version)}
        )
        self.moments += [moment for key in ("last_push", "last_pull") if (moment := reader.unix_time(key))]
        template.comments += reader.remarks
        self.templates[id] = template

    def _version(self, reader: JsonReader, file_sizes: dict[str, int]) -> CommentedMap:
        pushed, pulled = reader.unix_time("last_push"), reader.unix_time("last_pull")
        if pushed is None and reader.data.get("last_push") == 0:
            pushed = 0
        size_remark = _size_remark(reader, file_sizes, set(_files(reader)))
        images, state_files = (
            [{"name": name, "size": units.format_size(file_sizes[name])} for name in reader.strings(key)]
            for key in ("images", "state_files")
        )
        version = CommentedMap(
            tag=reader.text_or_empty("tag") or "",
            number=reader.integer("number", high=10**6),
            description=reader.text("description"),
            pushed=None if pushed is None else units.format_moment(pushed),
            pulled=None if pulled is None else units.format_moment(pulled),
            images=images,
            state_files=state_files or None,
        )
        version.comments += size_remark
        self.moments += [moment for moment in (pushed, pulled) if moment]
        version.comments += reader.remarks
        return version


def _size_sums(templates: list[JsonObject]) -> Iterator[SizeSum]:
    for template in map(JsonReader, templates):
        template_files: set[str] = set()
        for version in template.children("versions"):
            files = frozenset(_files(version))
            template_files |= files
            size = version.integer("size")
            if size is not None:
                yield SizeSum(files, size)
        size = template.integer("size")
        if size is not None and template_files:
            yield SizeSum(frozenset(template_files), size)


def _files(version: JsonReader) -> list[str]:
    return [*version.strings("images"), *version.strings("state_files")]


def _size_remark(reader: JsonReader, file_sizes: dict[str, int], files: Iterable[str]) -> list[str]:
    size, total = reader.integer("size"), sum(file_sizes[name] for name in files)
    if size is None or size == total:
        return []
    return [f"Its size is {size}, which no sizes of its files add up to: here it is {total}."]


def _template_item(template: KnownTemplate, vms: list[tuple[str, JsonReader]], shows_arch: bool) -> CommentedMap:
    item = CommentedMap(name=template.name, id=template.id, arch=template.arch, deleted=template.deleted or None)
    item.comments += template.comments
    if shows_arch and template.arch is None:
        item.put("arch", "amd64", "the controller did not return it: this is a guess")
    own_vms = [vm for template_id, vm in vms if template_id == template.id]
    vm = next((vm for vm in own_vms if vm.data.get("port_forwarding")), own_vms[0] if own_vms else None)
    if vm is not None:
        _put_hardware(item, vm)
    item["versions"] = template.versions
    return item


def _put_hardware(item: CommentedMap, vm: JsonReader) -> None:
    """Give future VMs of a template the hardware and ports of a present one."""
    rules = [
        {"name": read_rule_name(port), "guest_port": guest_port}
        for port in vm.children("port_forwarding")
        if (guest_port := port.integer("guest_port", 1, 65535))
    ]
    hardware = {"cpus": vm.integer("cpu_cores", 1, 1024), "ram": read_ram(vm), "port_forwarding": rules or None}
    for key, value in hardware.items():
        if value is not None:
            item.put(key, value, "from a VM of the template")


def read_ram(vm: JsonReader) -> str | None:
    """Return the RAM of a VM, such as ``4G``, or None if a scenario cannot express it."""
    text = vm.text("ram")
    if text is None or (text[:-1].isascii() and text[:-1].isdigit() and int(text[:-1]) > 0 and text[-1] in "GM"):
        return text
    vm.remarks.append(f"ram: {text!r} is not an amount like 4G; it is left out")
    return None


def read_rule_name(port: JsonReader) -> str:
    """Return the name of a forwarded port, whose key depends on the release (controller-facts B4)."""
    return next((name for key in ("name", "rule_name", "Name") if (name := port.text(key))), "")

"""Templates as a scenario has them, with those that only nodes and instances still know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mockanka import units
from mockanka.snapshot.commented_yaml import Noted
from mockanka.snapshot.fetch import Facts
from mockanka.snapshot.file_sizes import Sum, sizes_of
from mockanka.snapshot.reader import Json, Told

GONE = "is no longer in the registry: its size and files are not told"
NOT_TOLD = (
    "Not told of templates: cpus, ram and port_forwarding, and ports of versions; those here are what a VM of it has."
)


@dataclass
class Template:
    """A template under way to its section, and what its versions are found by."""

    id: str
    name: str
    deleted: bool = False
    arch: str | None = None
    versions: list[Noted] = field(default_factory=list)
    noted: Noted = field(default_factory=Noted)

    @property
    def live(self) -> list[Noted]:
        return [each for each in self.versions if not each.get("deleted")]


class Registry:
    """Every template that anything names, and how to name one of its versions."""

    def __init__(self, facts: Facts) -> None:
        self.templates: dict[str, Template] = {}
        self.moments: list[int] = []
        sizes = sizes_of(list(_sums(facts.templates)))
        for raw in facts.templates:
            self._listed(raw, sizes)
        for node in map(Told, facts.nodes):
            for each in map(Told, node.below("templates")):
                if (id := each.text("uuid")) is not None:
                    self.know(id, each.text("name"))
        for refused, said in facts.refused.items():
            id = refused.removeprefix("registry/vm?id=")
            if id in self.templates:
                self.templates[id].noted.above.append(f"Its versions were not told: {said}")

    def section(self, vms: list[tuple[str, Json]]) -> list[Noted]:
        """All templates; ``vms`` are VMs that run, each with the id of its template."""
        for each in self.templates.values():
            of = Noted(name=each.name, id=each.id, arch=each.arch, deleted=each.deleted or None)
            of.above += each.noted.above
            vm = next((Told(vm) for id, vm in vms if id == each.id and vm.get("port_forwarding")), None)
            vm = vm or next((Told(vm) for id, vm in vms if id == each.id), None)
            if vm is not None:
                _as_its_vm(of, vm)
            of["versions"] = each.versions
            each.noted = of
        return [each.noted for each in self.templates.values()]

    def name(self, id: str) -> str:
        """What a template is named by: its name, where only one has it."""
        named = Counter(each.name for each in self.templates.values())
        of = self.templates[id]
        return of.name if named[of.name] == 1 and of.name not in self.templates and not of.deleted else id

    def know(self, id: str, name: str | None = None, arch: str | None = None) -> Template:
        """A template, listed or not."""
        if id not in self.templates:
            made = Template(id, name or id, True, arch if arch in ("amd64", "arm64") else None)
            made.noted.above.append(f"It {GONE}{'' if name else ', nor is its name'}.")
            self.templates[id] = made
        return self.templates[id]

    def ref(self, of: Template, tag: str | None, number: int | None) -> Json:
        """The keys that name a version: tag, number, none for the latest, or its place if the registry has it no more.

        A tag that is there more than once means the newest, as it does to the controller.
        """
        named: Json = {key: value for key, value in (("tag", tag), ("version", number)) if value is not None}
        numbers = {each.get("number") for each in of.live}
        if of.live and tag in (None, *(each["tag"] for each in of.live)) and (number is None or number in numbers):
            return named
        return {**named, "serial": self._gone(of, tag or "", number)}

    def on_disk_at(self, ref: Json) -> Json | str:
        """The same of a version that is named by template and place."""
        of = self.templates[ref["template"]]
        tag = of.versions[ref["serial"]]["tag"]
        named = self.on_disk(of, tag) if not of.versions[ref["serial"]].get("deleted") else ref
        return named if isinstance(named, str) else ref

    def on_disk(self, of: Template, tag: str) -> Json | str:
        """What names the version of that tag on a node's disk; the tag may be blank."""
        alike = [serial for serial, each in enumerate(of.versions) if each["tag"] == tag and not each.get("deleted")]
        name = self.name(of.id)
        # Of several names that plain text could mean the longest counts, so a colon inside of one is spelled out.
        if alike and tag and ":" not in name + tag:
            return f"{name}:{tag}"
        return {"template": of.id, "serial": alike[-1] if alike else self._gone(of, tag, None)}

    def serial(self, of: Template, ref: Json) -> int:
        """The place of the version that a ref names."""
        if "serial" in ref:
            return int(ref["serial"])
        fitting = [serial for serial, each in enumerate(of.versions) if not each.get("deleted")]
        for key, own in (("version", "number"), ("tag", "tag")):
            if key in ref:
                fitting = [serial for serial in fitting if of.versions[serial].get(own) == ref[key]]
        return fitting[-1]

    def _gone(self, of: Template, tag: str, number: int | None) -> int:
        """The place of a version that the registry has no more."""
        for serial, each in enumerate(of.versions):
            if each.get("deleted") and each["tag"] == tag and number in (None, each["number"]):
                return serial
        gone = Noted(tag=tag, number=number or 0, images=[], deleted=True)
        gone.above.append(f"This version {GONE}.")
        of.versions.append(gone)
        return len(of.versions) - 1

    def _listed(self, raw: Json, sizes: dict[str, int]) -> None:
        told = Told(raw)
        id = told.text("id")
        if id is None or id in self.templates:
            return
        name = told.text("name")
        of = Template(id, name or id)
        of.arch = arch if (arch := told.text("arch")) in ("amd64", "arm64") else None
        if name is None:
            of.noted.above.append("Its name was not told.")
        for each in told.below("versions"):
            if (version := self._version(Told(each), sizes)) is not None:
                of.versions.append(version)
        size, pushed = told.whole("size"), self.moments
        shown = sum({name: sizes[name] for each in told.below("versions") for name in _files(each)}.values())
        if size is not None and size != shown:
            of.noted.above.append(f"Its size was told as {size}, which no sizes of its files make: here it is {shown}.")
        pushed += [at for key in ("last_push", "last_pull") if (at := told.seconds(key))]
        of.noted.above += told.remarks
        self.templates[id] = of

    def _version(self, told: Told, sizes: dict[str, int]) -> Noted | None:
        pushed, pulled, size = told.seconds("last_push"), told.seconds("last_pull"), told.whole("size")
        if pushed is None and told.raw.get("last_push") == 0:
            pushed = 0
        files = {
            key: [{"name": name, "size": units.format_size(sizes[name])} for name in told.words(wire)]
            for key, wire in (("images", "images"), ("state_files", "state_files"))
        }
        made = Noted(
            tag=told.any_text("tag") or "",
            number=told.whole("number", high=10**6),
            description=told.text("description"),
            pushed=None if pushed is None else units.format_moment(pushed),
            pulled=None if pulled is None else units.format_moment(pulled),
            images=files["images"],
            state_files=files["state_files"] or None,
        )
        shown = sum(sizes[name] for name in set(_files(told.raw)))
        if size is not None and size != shown:
            made.above.append(f"Its size was told as {size}, which no sizes of its files make: here it is {shown}.")
        self.moments += [at for at in (pushed, pulled) if at]
        made.above += told.remarks
        return made


def _files(version: Json) -> list[str]:
    told = Told(version)
    return [*told.words("images"), *told.words("state_files")]


def _sums(templates: list[Json]) -> Any:
    for each in templates:
        told, all_files = Told(each), set()
        for version in told.below("versions"):
            all_files |= set(_files(version))
            size = Told(version).whole("size")
            if size is not None:
                yield Sum(frozenset(_files(version)), size)
        size = told.whole("size")
        if size is not None and all_files:
            yield Sum(frozenset(all_files), size)


def _as_its_vm(of: Noted, vm: Told) -> None:
    """What the template probably has, for VMs to come."""
    of.put("cpus", vm.whole("cpu_cores", 1, 1024), "as its VM has")
    of.put("ram", read_ram(vm), "as its VM has")
    rules = []
    for port in map(Told, vm.below("port_forwarding")):
        guest = port.whole("guest_port", 1, 65535)
        if guest:
            rules.append({"name": rule_name(port), "guest_port": guest})
    if rules:
        of.put("port_forwarding", rules, "as its VM has")


def read_ram(vm: Told) -> str | None:
    """The RAM of a VM, if a scenario can say it."""
    text = vm.text("ram")
    if text is None or (text[:-1].isascii() and text[:-1].isdigit() and int(text[:-1]) > 0 and text[-1] in "GM"):
        return text
    vm.remarks.append(f"ram: {text!r} is no amount like 4G; it is left out")
    return None


def rule_name(port: Told) -> str:
    """The name of a forwarded port, whose key changed with the releases (controller-facts B4)."""
    return next((name for key in ("name", "rule_name", "Name") if (name := port.text(key))), "")

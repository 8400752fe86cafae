"""Templates of the registry: versions made of files, and what may be taken away from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core.errors import NoSuchTag, NoSuchTemplate, NoSuchVersion, NotFound, OnlyVersion

if TYPE_CHECKING:
    from mockanka.core.controller import Controller


class File(NamedTuple):
    """An image or state file of the registry: name and bytes. A file is known by its name."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class PortRule:
    """A port of the guest that every VM forwards; without ``host_port`` the node picks the next free one."""

    name: str
    guest_port: int
    host_port: int | None = None
    protocol: str = "tcp"


class VersionRef(NamedTuple):
    """Names one version for good, also after it has left the registry: its place in the template's history."""

    template_id: str
    serial: int


@dataclass(frozen=True)
class Version:
    """One tag of a template. ``images`` stand newest first; ``deleted`` ones live on in caches and instances."""

    number: int
    tag: str
    images: tuple[File, ...]
    description: str = ""
    state_files: tuple[File, ...] = ()
    port_forwarding: tuple[PortRule, ...] | None = None
    deleted: bool = False
    pushed: int = 0
    pulled: int = 0
    """When it came, and when a node last had all of it pulled; 0 if none ever did."""

    @property
    def files(self) -> tuple[File, ...]:
        return self.images + self.state_files

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def suspended(self) -> bool:
        """Whether VMs resume from a saved state instead of booting; then vcpu and vram cannot be overridden."""
        return bool(self.state_files)


@dataclass
class Template:
    """A template with every version it ever had, in the order in which they came."""

    id: str
    name: str
    history: list[Version] = field(default_factory=list)
    cpus: int = 2
    ram: int = 4096
    """MB"""
    port_forwarding: tuple[PortRule, ...] = ()
    arch: str = "amd64"
    deleted: bool = False

    @property
    def versions(self) -> list[Version]:
        """What the registry has of it, oldest first; the last is the latest (controller-facts A11)."""
        return [version for version in self.history if not version.deleted]

    @property
    def size(self) -> int:
        """Bytes of the union of all versions' files: what they share counts once (controller-facts A11)."""
        return sum(size_by_name(version.files for version in self.versions).values())

    @property
    def pushed(self) -> int:
        return max((version.pushed for version in self.versions), default=0)

    @property
    def pulled(self) -> int:
        return max((version.pulled for version in self.versions), default=0)

    def live(self) -> list[tuple[int, Version]]:
        return [(serial, version) for serial, version in enumerate(self.history) if not version.deleted]

    def rules_of(self, version: Version) -> tuple[PortRule, ...]:
        return self.port_forwarding if version.port_forwarding is None else version.port_forwarding

    def add(self, version: Version) -> VersionRef:
        self.history.append(version)
        return VersionRef(self.id, len(self.history) - 1)

    def next_number(self) -> int:
        versions = self.versions
        return versions[-1].number + 1 if versions else 0


def size_by_name(file_lists: Iterable[Iterable[File]]) -> dict[str, int]:
    """Each file once, with its size."""
    return {file.name: file.size for files in file_lists for file in files}


def listed_templates(controller: Controller) -> list[Template]:
    """What the registry lists; RegistryDown if it cannot be asked."""
    controller.registry.require_reachable()
    return [template for template in controller.templates.values() if not template.deleted]


def note_pull(controller: Controller, ref: VersionRef) -> None:
    """A node has pulled a version."""
    history = controller.templates[ref.template_id].history
    history[ref.serial] = replace(history[ref.serial], pulled=controller.now)


def registry_files(controller: Controller) -> dict[str, int]:
    """Return the files of all templates in the registry, by name, with their sizes in bytes."""
    return size_by_name(version.files for template in controller.templates.values() for version in template.versions)


def find_template(controller: Controller, template_id: str) -> Template:
    """The template of the registry with that id, or NotFound; RegistryDown if it cannot be asked."""
    controller.registry.require_reachable()
    template = controller.templates.get(template_id)
    if template is None or template.deleted:
        raise NotFound
    return template


def resolve_version(controller: Controller, template_id: str, tag: str | None, number: int | None) -> VersionRef:
    """The version that a request means: the tag's, else the number's, else the latest (controller-facts A1)."""
    controller.registry.require_reachable()
    template = controller.templates.get(template_id)
    if template is None or template.deleted:
        raise NoSuchTemplate
    return VersionRef(template_id, _select(template, tag, number))


def _select(template: Template, tag: str | None, number: int | None) -> int:
    live = template.live()
    if tag:
        # A tag pushed twice means its newest version, as the latest tag is the last element.
        matches = [serial for serial, version in live if version.tag == tag]
        if not matches:
            raise NoSuchTag(tag)
    elif number is not None:
        matches = [serial for serial, version in live if version.number == number]
        if not matches:
            raise NoSuchVersion(number)
    else:
        matches = [serial for serial, _ in live]
        if not matches:
            raise NoSuchTemplate
    return matches[-1]


def version_of(controller: Controller, ref: VersionRef) -> Version:
    return controller.templates[ref.template_id].history[ref.serial]


def in_registry(controller: Controller, ref: VersionRef) -> bool:
    return not (controller.templates[ref.template_id].deleted or version_of(controller, ref).deleted)


def delete_template(controller: Controller, template_id: str) -> None:
    """Take a template with all its versions out of the registry.

    Running instances and cached copies on nodes are left as they are (controller-facts C12).
    """
    template = find_template(controller, template_id)
    template.deleted = True
    _drop_from(template, 0)
    controller.record("template deleted", template_id, name=template.name)


def revert_template(
    controller: Controller, template_id: str, tag: str | None = None, number: int | None = None
) -> None:
    """Delete the named version and every later one; the latest, if none is named (controller-facts A13, B2).

    The only version a template has is not deleted (G). Naming the first of several is, for the reference shows
    that ``number=0`` is answered with OK; the template is left without versions then, which is a guess.
    """
    template = find_template(controller, template_id)
    serial = _select(template, tag, number)
    if len(template.versions) == 1:
        raise OnlyVersion(template.history[serial].tag)
    drop_versions(controller, template, serial)


def drop_versions(controller: Controller, template: Template, serial: int) -> None:
    _drop_from(template, serial)
    controller.record("template reverted", template.id, versions_left=len(template.versions))


def _drop_from(template: Template, serial: int) -> None:
    for index in range(serial, len(template.history)):
        template.history[index] = replace(template.history[index], deleted=True)

"""Templates of the registry: their versions, which are made of files, and operations that delete them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core.errors import NoSuchTag, NoSuchTemplate, NoSuchVersion, NotFound, NoVersionsWithTag
from mockanka.units import HOUR

if TYPE_CHECKING:
    from mockanka.core.controller import Controller


CREATED_BEFORE_PUSH = 7 * 24 * HOUR
"""Guess: how long before its push the VM of a version was made; in captures it is days to months before a start."""


def guess_creation(pushed: int) -> int:
    """Return when the VM of a version was made, of which only the push is known."""
    return max(0, pushed - CREATED_BEFORE_PUSH)


class File(NamedTuple):
    """An image or state file of the registry, identified by its name; ``size`` is bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class PortRule:
    """A port of the guest that every VM forwards; without ``host_port`` the node chooses the next free port."""

    name: str
    guest_port: int
    host_port: int | None = None
    protocol: str = "tcp"


class VersionRef(NamedTuple):
    """A lasting reference to a version: its place in the template's history, where deleted versions stay too."""

    template_id: str
    serial: int


@dataclass(frozen=True)
class Version:
    """A version of a template. ``images`` are newest first; a deleted version stays in caches and instances."""

    number: int
    tag: str
    images: tuple[File, ...]
    description: str = ""
    state_files: tuple[File, ...] = ()
    port_forwarding: tuple[PortRule, ...] | None = None
    deleted: bool = False
    pushed: int = 0
    pulled: int = 0
    """When a node last finished a pull of it, as ``pushed`` is when it was added; 0 if none has."""
    created: int = 0
    """When its VM was made, which the VMs of instances show as their ``creation_date`` (controller-facts A2.3)."""

    @property
    def created_apart_from_push(self) -> int | None:
        """When its VM was made, or None if the moment of its push tells that."""
        return self.created if self.created != guess_creation(self.pushed) else None

    @property
    def files(self) -> tuple[File, ...]:
        """Its images, newest first, and then its state files."""
        return self.images + self.state_files

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(file.size for file in self.files)

    @property
    def suspended(self) -> bool:
        """True if its VMs resume from a saved state instead of booting; then vcpu and vram cannot be overridden."""
        return bool(self.state_files)


@dataclass
class Template:
    """A template with all versions that it ever had, oldest first."""

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
        """The versions that the registry has, oldest first; the last is the latest (controller-facts A11)."""
        return [version for version in self.history if not version.deleted]

    @property
    def size(self) -> int:
        """The bytes of all its versions' files; a file that they share counts once (controller-facts A11)."""
        return sum(collect_file_sizes(version.files for version in self.versions).values())

    @property
    def pushed(self) -> int:
        """When its latest version was pushed; 0 without versions."""
        return max((version.pushed for version in self.versions), default=0)

    @property
    def pulled(self) -> int:
        """When a node last finished a pull of one of its versions; 0 if none has."""
        return max((version.pulled for version in self.versions), default=0)

    def versions_by_serial(self) -> list[tuple[int, Version]]:
        """Return the versions that are not deleted, each after its place in the history."""
        return [(serial, version) for serial, version in enumerate(self.history) if not version.deleted]

    def port_rules_for(self, version: Version) -> tuple[PortRule, ...]:
        """Return the port rules of a version: its own, or those of the template if it has none of its own."""
        return self.port_forwarding if version.port_forwarding is None else version.port_forwarding

    def add(self, version: Version) -> VersionRef:
        """Add a version as the latest, and return the reference to it."""
        self.history.append(version)
        return VersionRef(self.id, len(self.history) - 1)

    def next_version_number(self) -> int:
        """Return the number for a version that is added next."""
        versions = self.versions
        return versions[-1].number + 1 if versions else 0


def collect_file_sizes(file_lists: Iterable[Iterable[File]]) -> dict[str, int]:
    """Return the sizes of all files by name."""
    return {file.name: file.size for files in file_lists for file in files}


def list_templates(controller: Controller) -> list[Template]:
    """Return the templates in the registry. Raises RegistryDown."""
    controller.registry.require_reachable()
    return [template for template in controller.templates.values() if not template.deleted]


def record_pull(controller: Controller, ref: VersionRef) -> None:
    """Note that a node has finished a pull of a version."""
    history = controller.templates[ref.template_id].history
    history[ref.serial] = replace(history[ref.serial], pulled=controller.now)


def registry_files(controller: Controller) -> dict[str, int]:
    """Return the files of all templates in the registry, by name, with their sizes in bytes."""
    return collect_file_sizes(
        version.files for template in controller.templates.values() for version in template.versions
    )


def find_template(controller: Controller, template_id: str) -> Template:
    """Return the template in the registry with that id. Raises NotFound or RegistryDown."""
    controller.registry.require_reachable()
    template = controller.templates.get(template_id)
    if template is None or template.deleted:
        raise NotFound
    return template


def resolve_version(controller: Controller, template_id: str, tag: str | None, number: int | None) -> VersionRef:
    """Return the version with that tag, without a tag the one with that number, else the latest (controller-facts A1).

    Raises RegistryDown, NoSuchTemplate, NoSuchTag or NoSuchVersion.
    """
    controller.registry.require_reachable()
    template = controller.templates.get(template_id)
    if template is None or template.deleted:
        raise NoSuchTemplate
    return VersionRef(template_id, _find_serial(template, tag, number))


def _find_serial(template: Template, tag: str | None, number: int | None) -> int:
    versions = template.versions_by_serial()
    if tag:
        # Of two versions with the same tag the newer is meant, as the latest version is the last one.
        matches = [serial for serial, version in versions if version.tag == tag]
        if not matches:
            raise NoSuchTag(tag)
    elif number is not None:
        matches = [serial for serial, version in versions if version.number == number]
        if not matches:
            raise NoSuchVersion(number)
    else:
        matches = [serial for serial, _ in versions]
        if not matches:
            raise NoSuchTemplate
    return matches[-1]


def get_version(controller: Controller, ref: VersionRef) -> Version:
    """Return the version that a reference leads to, deleted or not."""
    return controller.templates[ref.template_id].history[ref.serial]


def is_in_registry(controller: Controller, ref: VersionRef) -> bool:
    """Return whether neither the version nor its template is deleted."""
    return not (controller.templates[ref.template_id].deleted or get_version(controller, ref).deleted)


def delete_template(controller: Controller, template_id: str) -> None:
    """Delete a template with all its versions from the registry. Raises NotFound or RegistryDown.

    Running instances and cached copies on nodes stay as they are (controller-facts C12).
    """
    _remove_from_registry(controller, find_template(controller, template_id))


def _remove_from_registry(controller: Controller, template: Template) -> None:
    template.deleted = True
    _mark_deleted_from(controller, template, 0)
    controller.record("template deleted", template.id, name=template.name)


def revert_template(
    controller: Controller, template_id: str, tag: str | None = None, number: int | None = None
) -> None:
    """Delete the named version and all later ones; the latest only if none is named (controller-facts A13, B2).

    If no version would be left, the template is deleted, as by ``delete_template``. An unknown tag or
    version deletes nothing. Raises NotFound, NoVersionsWithTag, NoSuchVersion or RegistryDown.
    """
    template = find_template(controller, template_id)
    try:
        serial = _find_serial(template, tag, number)
    except NoSuchTag:
        raise NoVersionsWithTag(tag or "") from None
    if all(version.deleted for version in template.history[:serial]):
        _remove_from_registry(controller, template)
    else:
        delete_versions_from(controller, template, serial)


def delete_versions_from(controller: Controller, template: Template, serial: int) -> None:
    """Delete the version at a place in the template's history and all later ones; the template stays, even empty."""
    _mark_deleted_from(controller, template, serial)
    controller.record("template reverted", template.id, versions_left=len(template.versions))


def _mark_deleted_from(controller: Controller, template: Template, serial: int) -> None:
    controller.placement_due = True  # an instance that waits to pull it fails now
    for index in range(serial, len(template.history)):
        template.history[index] = replace(template.history[index], deleted=True)

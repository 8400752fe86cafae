"""A cache of the responses to polls of instances, which are what clients request most."""

from __future__ import annotations

import re
from typing import NamedTuple

from mockanka.api.envelope import OK_END, OK_START, encode_json, encode_success
from mockanka.api.instance_responses import render_instance, without_unreported
from mockanka.core.controller import Controller
from mockanka.core.instance_record import Instance

FOREVER = 2**63
_PLAIN_ID = re.compile(rb"id=[0-9A-Za-z._~-]+")


class RenderedInstance(NamedTuple):
    """The rendered bytes of an instance: the response to ``?id=``, and its item in the list.

    They are valid at one revision of the instance, before the time ``until``.
    """

    revision: int
    until: int
    response: bytes
    item: bytes


class RenderedList(NamedTuple):
    """The response to a list, valid at one revision of the controller before the time ``until``."""

    revision: int
    until: int
    response: bytes


class InstanceCache:
    """Responses to GETs of instances: rendered once, kept as bytes, and used again until something in them changes.

    That is when the instance's revision moves, when its node's next heartbeat moves ``ts``, and at once while the
    instance is pulling.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._instances: dict[str, RenderedInstance] = {}
        self._list = RenderedList(-1, 0, b"")

    def find_response(self, query_string: bytes) -> bytes | None:
        """Return the response to a GET with that query, or None if it takes more than a lookup."""
        if not query_string:
            return self.list_response()
        if _PLAIN_ID.fullmatch(query_string):
            instance = self._controller.instances.get(query_string[3:].decode("ascii"))
            return None if instance is None or instance.hidden else self.instance_response(instance)
        return None

    def instance_response(self, instance: Instance) -> bytes:
        """Return the response to ``?id=``: the bare instance (controller-facts A2.1)."""
        return self._render(instance).response

    def list_response(self) -> bytes:
        """Return the response to a list: an item for each instance, in order of creation."""
        controller = self._controller
        if self._list.revision == controller.revision and controller.now < self._list.until:
            return self._list.response
        self._drop_forgotten()
        rendered = [self._render(instance) for instance in controller.instances.values() if not instance.hidden]
        until = min((instance.until for instance in rendered), default=FOREVER)
        self._list = RenderedList(controller.revision, until, _join([instance.item for instance in rendered]))
        return self._list.response

    def _drop_forgotten(self) -> None:
        instances = self._controller.instances
        if len(self._instances) > 2 * len(instances) + 100:
            self._instances = {id: rendered for id, rendered in self._instances.items() if id in instances}

    def _render(self, instance: Instance) -> RenderedInstance:
        controller = self._controller
        kept = self._instances.get(instance.id)
        if kept is not None and kept.revision == instance.revision and controller.now < kept.until:
            return kept
        bare = encode_json(render_instance(controller, instance))
        item = _render_item(instance, controller.release.has("instance-tells-its-names"), bare)
        until = instance.unchanged_until(controller) or FOREVER
        rendered = RenderedInstance(instance.revision, until, OK_START + bare + OK_END, item)
        self._instances[instance.id] = rendered
        return rendered


def _join(items: list[bytes]) -> bytes:
    if not items:
        return encode_success([])
    # The brackets hang on the first and the last item, so that nothing is copied twice.
    items[0] = OK_START + b"[" + items[0]
    items[-1] += b"]" + OK_END
    return b",".join(items)


def _render_item(instance: Instance, with_nulls: bool, bare: bytes) -> bytes:
    """Return a list item. Its keys are sorted, as those of a Go map; unset ones are null, or left out."""
    request = instance.request
    names = {"external_id": request.external_id, "instance_id": instance.id, "name": request.name}
    shown = {key: value or None for key, value in names.items() if value or with_nulls}
    start = encode_json(without_unreported(instance, shown))[:-1]
    if "vm" in instance.unreported:
        return start + b"}"
    return start + (b',"vm":' if len(start) > 1 else b'"vm":') + bare + b"}"

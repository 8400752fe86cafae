"""The catalogue of checks: each with its id, which is stable, its level, and its claim."""

from __future__ import annotations

from typing import NamedTuple

from mockanka.contract.conformance import Level

MUST, SHOULD, NOTE = Level.MUST, Level.SHOULD, Level.NOTE


class Check(NamedTuple):
    """A claim about a controller or a client; where a ``must`` does not hold, clients may break."""

    id: str
    level: Level
    claim: str


RESPONSE_CHECKS = [
    Check("answered", MUST, "every request gets a complete response in time"),
    Check("status-code", MUST, "the HTTP status matches the status in the envelope, at this release"),
    Check("content-type", SHOULD, "the content type is application/json, in UTF-8"),
    Check("encoding", SHOULD, "the content is encoded only as the request allows"),
    Check("connection", SHOULD, "a connection is closed only after a response that says so"),
    Check("caching", SHOULD, "no response may be cached, or comes from a cache"),
    Check("json", MUST, "the response is a JSON object"),
    Check("json-text", MUST, "no key is in an object twice, and every string consists of characters"),
    Check("envelope", MUST, "OK with an empty message, or FAIL with a message; a body exactly where one is documented"),
    Check("shape", MUST, "the body has the shape that the query selects: the list, or the single item"),
    Check("schema", MUST, "every documented key has a documented type and value, and no required key is missing"),
    Check("time", MUST, "every time is an RFC 3339 time"),
    Check("forbidden-taken", SHOULD, "a request that the contract forbids fails"),
    Check("allowed-refused", SHOULD, "a request that the contract allows is not rejected as invalid"),
    Check("stray", SHOULD, "unknown paths and methods are rejected"),
    Check("undocumented", NOTE, "there are no undocumented keys"),
    Check("key-order", NOTE, "the keys of the envelope come in the order status, message, body"),
    Check("newline", NOTE, "the JSON text ends with a line break"),
]
"""Checks of every response, by the contract."""

READ_CHECKS = [
    Check("release", NOTE, "the release that was given is the one in the status"),
    Check("unique", MUST, "no id is listed twice, and no two running VMs share a port of a node"),
    Check("list-and-single", MUST, "the list and the response for a single id agree"),
    Check("unknown-id", MUST, "a request with an unknown id fails"),
    Check("message", SHOULD, "a failure has the message that clients compare"),
    Check("message-guess", NOTE, "a failure has the message that the contract guesses"),
    Check("empty-id", MUST, "an empty id counts as absent"),
    Check("moves", MUST, "states change by legal transitions only"),
    Check("progress", MUST, "progress never decreases"),
    Check("constant", MUST, "what identifies an instance, its VM, a request or the machine of a node never changes"),
    Check("vm-of-state", MUST, "an instance has a VM, on its node, when it is Started, and none before"),
    Check("vm-values", SHOULD, "the values of a running VM agree with each other"),
    Check("error-told", SHOULD, "an instance in Error has a message"),
    Check("time-order", SHOULD, "times of an object are in their order, and none goes backwards"),
    Check("clock", SHOULD, "times agree with the Date of the response"),
    Check("version", SHOULD, "versions of the controller and of agents are a release and a build"),
    Check("node-counters", MUST, "a node counts at least the VMs that are listed on it"),
    Check("node-sums", SHOULD, "a node reports at least the cores and RAM of the VMs that are listed on it"),
    Check("node-capacity", NOTE, "a node counts no more VMs than its capacity"),
    Check("node-ram", SHOULD, "the RAM of a node is in GB, and the share in use follows from it"),
    Check("references", NOTE, "every node and group that is referenced is listed"),
    Check("versions", SHOULD, "the versions of a template are numbered from 0 on, ascending, with different tags"),
    Check("template-size", SHOULD, "the size of a template is at least that of each version, and at most their sum"),
    Check("task-status", SHOULD, "the status of a distribution or a save image request agrees with its values"),
    Check("disk", SHOULD, "neither the free nor the used space is larger than the disk"),
]
"""Checks that only read."""

WRITE_CHECKS = [
    Check("made", MUST, "what is requested is created, and its id returned"),
    Check("at-once", MUST, "what was created is listed, and found by its id, immediately"),
    Check("labels", MUST, "names and external ids are returned as they were sent"),
    Check("first-state", MUST, "an instance begins in Scheduling"),
    Check("started", MUST, "an instance reaches Started"),
    Check("placed", MUST, "an instance has the requested node, template and tag"),
    Check("partial", MUST, "an update changes the fields that were sent, and no others"),
    Check("any-content-type", MUST, "a body is read whatever its content type"),
    Check("unknown-field", SHOULD, "an unknown field is ignored"),
    Check("merged", NOTE, "new metadata is merged with the existing metadata"),
    Check("restarted", SHOULD, "a restart ends in Started, with another start date"),
    Check("refused", MUST, "a start that is impossible is rejected"),
    Check("member", MUST, "a node is in the groups it was added to, until it is removed"),
    Check("terminated", MUST, "a termination is accepted, and a second one as well"),
    Check("terminating", MUST, "a terminated instance is Terminating, Terminated or gone, and remains so"),
    Check("gone", SHOULD, "a terminated instance is unknown after a while"),
    Check("deleted", MUST, "what was deleted is no longer listed"),
]
"""Checks with ``--write`` only."""

REQUEST_CHECKS = [
    Check("operation", MUST, "the client requests operations that this release has"),
    Check("method", MUST, "the client uses a method that the path has"),
    Check("query", MUST, "the client sends a query that the contract allows"),
    Check("body", MUST, "the client sends a body that the contract allows"),
    Check("query-unknown", NOTE, "the client sends no query parameter that is ignored"),
    Check("body-unknown", NOTE, "the client sends no key that is ignored"),
    Check("no-answer", MUST, "a client that stays connected gets a complete response"),
]
"""Checks of recordings, whose requests come from another client."""

CHECKS: dict[str, Check] = {
    check.id: check for check in [*RESPONSE_CHECKS, *READ_CHECKS, *WRITE_CHECKS, *REQUEST_CHECKS]
}

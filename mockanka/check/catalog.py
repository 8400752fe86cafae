"""Every check there is: its id, which stays, its level, and what it claims."""

from __future__ import annotations

from typing import NamedTuple

from mockanka.contract.conformance import Level

MUST, SHOULD, NOTE = Level.MUST, Level.SHOULD, Level.NOTE


class Check(NamedTuple):
    """A claim about a controller; a client may break where a ``must`` does not hold."""

    id: str
    level: Level
    what: str


ANSWERS = [
    Check("answered", MUST, "every request has a whole answer in time"),
    Check("status-code", MUST, "the HTTP status goes with what the envelope says, at this release"),
    Check("content-type", SHOULD, "the content type is application/json"),
    Check("json", MUST, "the answer is a JSON object"),
    Check("envelope", MUST, "OK with an empty message, or FAIL with one; a body where one is due, and nowhere else"),
    Check("shape", MUST, "the form that this very query asks for: the list, or the single thing"),
    Check("schema", MUST, "every documented key has its type and its values, and none is missing"),
    Check("time", MUST, "every time is RFC 3339"),
    Check("forbidden-taken", SHOULD, "a request that the document forbids fails"),
    Check("allowed-refused", SHOULD, "a request that the document allows is not called invalid"),
    Check("stray", SHOULD, "what is no operation is not found"),
    Check("undocumented", NOTE, "no key is there that the document does not have"),
    Check("key-order", NOTE, "the envelope's keys come as status, message, body"),
    Check("newline", NOTE, "the JSON text ends with a line break"),
]
"""Made of every answer, by the judge."""

READING = [
    Check("release", NOTE, "the release that was given is the one that the status tells"),
    Check("unique", MUST, "no id is listed twice"),
    Check("list-and-single", MUST, "the list and the answer to an id say the same"),
    Check("unknown-id", MUST, "an id that nobody knows fails"),
    Check("message", SHOULD, "a failure has the message that clients compare it with"),
    Check("message-guess", NOTE, "a failure has the message that the document guesses"),
    Check("empty-id", MUST, "an id that is empty counts as absent"),
    Check("moves", MUST, "states change along legal moves only"),
    Check("progress", MUST, "progress never falls"),
    Check("constant", MUST, "what a thing is made of never changes: its template, when it was made"),
    Check("vm-of-state", MUST, "an instance has a VM when it is Started, and none while it is Scheduling or Pulling"),
    Check("error-told", SHOULD, "an instance in Error says why"),
    Check("time-order", SHOULD, "nothing is heard of before it was made"),
    Check("node-counters", MUST, "a node counts no fewer VMs than are listed there"),
    Check("node-sums", SHOULD, "a node's cores and RAM in use are no less than its listed VMs have"),
    Check("references", NOTE, "nodes and groups that something names are listed"),
    Check("versions", SHOULD, "a template's versions come by rising number"),
    Check("disk", SHOULD, "no more is free than there is"),
]
"""Made by reading alone."""

WRITING = [
    Check("made", MUST, "what is asked for is made, and its id handed back"),
    Check("at-once", MUST, "what was made is in the list, and found by its id, at once"),
    Check("labels", MUST, "names and external ids come back as they were given"),
    Check("first-state", MUST, "an instance begins in Scheduling"),
    Check("started", MUST, "an instance comes to Started"),
    Check("placed", MUST, "an instance runs on the node that was asked for, with the template and tag that were"),
    Check("partial", MUST, "an update changes what it names, and nothing else"),
    Check("any-content-type", MUST, "a body is read whatever its content type"),
    Check("unknown-field", SHOULD, "a field that nobody knows is ignored"),
    Check("merged", NOTE, "new metadata is merged with the old"),
    Check("restarted", SHOULD, "a restart ends in Started, with another start date"),
    Check("refused", MUST, "what cannot be made is refused"),
    Check("member", MUST, "a node is in the groups it was added to, until it is removed"),
    Check("terminated", MUST, "a termination is taken, and taken again"),
    Check("terminating", MUST, "a terminated instance is Terminating, Terminated or gone, and stays so"),
    Check("gone", SHOULD, "a terminated instance is unknown after a while"),
    Check("deleted", MUST, "what was deleted is listed no more"),
]
"""Made with ``--write`` only."""

REQUESTS = [
    Check("operation", MUST, "the client asks for what there is at this release"),
    Check("method", MUST, "the client asks by a method that the path knows"),
    Check("query", MUST, "the client's query is one that the document allows"),
    Check("body", MUST, "the client's body is one that the document allows"),
    Check("query-unknown", NOTE, "the client sends no query parameter that nothing reads"),
    Check("body-unknown", NOTE, "the client sends no key that nothing reads"),
    Check("no-answer", MUST, "a client that does not leave gets a whole answer"),
]
"""Made of recordings, in which somebody else is the client."""

CHECKS: dict[str, Check] = {each.id: each for each in [*ANSWERS, *READING, *WRITING, *REQUESTS]}

"""Patterns of requests: values that a request must have, filters on it, and how far a request is from a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeVar

from mockanka.redaction import redact_body, redact_json, redact_value


class MatchableRequest(Protocol):
    """Attributes that filters read of a request, an entry of the journal or its view in tests."""

    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> Any: ...
    @property
    def body_text(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def user_agent(self) -> str: ...
    @property
    def fault(self) -> str: ...
    @property
    def keep_secrets(self) -> bool: ...
    @property
    def concerned_instances(self) -> tuple[str, ...]: ...


AnyRequest = TypeVar("AnyRequest", bound=MatchableRequest)
_MISSING = object()
_ATTRIBUTES = {"instances": "concerned_instances"}


def _external_id(request: MatchableRequest, expected: Any) -> tuple[bool, Any]:
    body = request.body if isinstance(request.body, Mapping) else {}
    actual = request.query.get("external_id", body.get("external_id"))
    return actual == expected, actual


def _instance(request: MatchableRequest, expected: Any) -> tuple[bool, Any]:
    return expected in request.concerned_instances, list(request.concerned_instances)


def _header(request: MatchableRequest, expected: Any) -> tuple[bool, Any]:
    """Match headers: a mapping of names to values, or ``NAME`` or ``NAME: VALUE``, or a list of these."""
    if isinstance(expected, Mapping):
        wanted = [(str(name), str(value)) for name, value in expected.items()]
    else:
        texts = [expected] if isinstance(expected, str) else list(expected)
        wanted = [(name.strip(), value.strip() if colon else "*") for name, colon, value in map(_partition, texts)]
    actual = {name: request.headers.get(name.lower()) for name, _ in wanted}
    return all(actual[name] is not None and fnmatchcase(str(actual[name]), value) for name, value in wanted), actual


def _partition(text: str) -> tuple[str, str, str]:
    return text.partition(":")


def _user_agent(request: MatchableRequest, expected: Any) -> tuple[bool, Any]:
    return fnmatchcase(request.user_agent, str(expected)), request.user_agent


def _fault(request: MatchableRequest, expected: Any) -> tuple[bool, Any]:
    return fnmatchcase(request.fault, str(expected or "")), request.fault


def _body_matches(request: MatchableRequest, expected: Any) -> tuple[bool, Any]:
    return re.search(expected, request.body_text) is not None, request.body_text


FILTERS: dict[str, Callable[[MatchableRequest, Any], tuple[bool, Any]]] = {
    "external_id": _external_id,
    "instance": _instance,
    "header": _header,
    "user_agent": _user_agent,
    "fault": _fault,
    "body_matches": _body_matches,
    "body~": _body_matches,
}
"""Filters of requests by their keys in a pattern: each returns whether a request matches, and what it has instead.

``body~`` is the name of ``body_matches`` in the control API; Python has no such keyword.
"""


def matches_pattern(pattern: Mapping[str, Any], request: MatchableRequest) -> bool:
    """Return whether a request has all values of a pattern; cheaper than its differences in words."""
    return not distance(pattern, request)


def differences(pattern: Mapping[str, Any], request: MatchableRequest) -> list[str]:
    """Return in words how a request differs from a pattern, without the request's secrets unless these are kept."""
    texts: list[str] = []
    for key, expected, actual in _values_to_compare(pattern, request):
        if key in FILTERS:
            wanted = expected.pattern if isinstance(expected, re.Pattern) else expected
            texts.append(f"{key}: {_shown(key, actual, request)}, wanted {wanted!r}")
        else:
            texts += _value_differences(key, expected, actual, request)
    return texts


def distance(pattern: Mapping[str, Any], request: MatchableRequest) -> int:
    """Count the values of a pattern that a request has otherwise or lacks; one without a body lacks all keys of it."""
    return sum(
        1 if key in FILTERS else _count_wrong(expected, actual)
        for key, expected, actual in _values_to_compare(pattern, request)
    )


def nearest_requests(pattern: Mapping[str, Any], requests: Iterable[AnyRequest], limit: int) -> list[AnyRequest]:
    """Return at most ``limit`` of the requests that are nearest to a pattern, all at the same distance."""
    ranked = sorted(((distance(pattern, request), request) for request in requests), key=lambda pair: pair[0])
    return [request for far, request in ranked if far == ranked[0][0]][:limit]


def describe_count(count: int, times: int | None, pattern: Mapping[str, Any]) -> str:
    """Return in words that not as many requests match as are expected: at least one, or exactly ``times``."""
    wanted = ", ".join(f"{key}={value!r}" for key, value in pattern.items())
    if times is None:
        return f"no request fits {wanted}; the nearest are"
    return f"{count} request{' fits' if count == 1 else 's fit'} {wanted}, where {times} are expected; the nearest are"


def describe_dropped(count: int) -> str:
    """Return in words that requests cannot be looked at, since the journal has dropped so many."""
    subject = "1 request was" if count == 1 else f"{count} requests were"
    return f"{subject} dropped from the journal, which was full (clear it before, or raise its limit)"


def _values_to_compare(pattern: Mapping[str, Any], request: MatchableRequest) -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys of a pattern that may differ, each with the expected and the actual value; filters that do."""
    for key, expected in pattern.items():
        if key in FILTERS:
            matches, actual = FILTERS[key](request, expected)
        else:
            actual = getattr(request, _ATTRIBUTES.get(key, key))
            matches = key == "path" and isinstance(expected, str) and fnmatchcase(actual, expected)
        if not matches:
            yield key, expected, actual


def _value_differences(path: str, expected: Any, actual: Any, request: MatchableRequest) -> list[str]:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        texts: list[str] = []
        for key, value in expected.items():
            place = f"{path}.{key}"
            texts += (
                _value_differences(place, value, actual[key], request)
                if key in actual
                else [f"{place}: missing, wanted {value!r}"]
            )
        return texts
    return [] if expected == actual else [f"{path}: {_shown(path, actual, request)}, wanted {expected!r}"]


def _shown(path: str, value: Any, request: MatchableRequest) -> str:
    """Return a value of a request as it is shown; the last name of the path is that of the value."""
    if request.keep_secrets:
        return repr(value)
    if isinstance(value, str) and path in ("body", "body~", "body_matches"):
        return repr(redact_body(value, request.headers.get("content-type", "")))
    return repr(redact_value(path.rpartition(".")[2], value) if isinstance(value, str) else redact_json(value))


def _count_wrong(expected: Any, actual: Any) -> int:
    """Count the values of ``expected`` that ``actual`` has otherwise or lacks."""
    if not isinstance(expected, Mapping):
        return int(expected != actual)
    values = actual if isinstance(actual, Mapping) else {}
    wrong = sum(_count_wrong(value, values.get(key, _MISSING)) for key, value in expected.items())
    return wrong if isinstance(actual, Mapping) else max(1, wrong)

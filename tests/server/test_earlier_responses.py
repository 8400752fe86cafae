"""Which of the earlier responses to a request are found."""

from __future__ import annotations

import pytest

from mockanka.server import earlier_responses
from mockanka.server.earlier_responses import EarlierResponses
from mockanka.server.http_messages import Response

KEY = ("/api/v1/vm", b"")


def response(text: str) -> Response:
    return Response(200, [], text.encode())


def test_a_repetition_of_the_last_response_is_kept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls that change nothing do not drive out what is needed."""
    monkeypatch.setattr(earlier_responses, "MAX_RESPONSES", 2)
    earlier = EarlierResponses()
    earlier.add(KEY, 0, response("a"), 10)
    for at in range(1, 9):
        earlier.add(KEY, at, response("b"), 10)

    assert [None, "a", "b"] == [
        found and found.content.decode() for found in (earlier.find(KEY, now, 10) for now in (9, 10, 11))
    ]


def test_what_is_too_old_to_be_repeated_is_dropped() -> None:
    """The newest response that is old enough stays."""
    earlier = EarlierResponses()
    for at in range(0, 40, 4):
        earlier.add(KEY, at, response(str(at)), 10)

    assert response("24") == earlier.find(KEY, 36, 10)
    assert response("24") == earlier.find(KEY, 100, 76)
    assert earlier.find(KEY, 36, 20) is None

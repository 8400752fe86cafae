"""Requests that schemathesis makes from the document: queries of GETs, and updates of what is our own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from mockanka.check.session import Run

HINT = "schemathesis is not installed, so no requests were generated: pip install 'mockanka[generated]' has it"
SEED = 20


def is_there() -> bool:
    return find_spec("schemathesis") is not None


def steps(run: Run, count: int) -> list[tuple[str, Callable[[], None]]]:
    """A step for each operation that may be asked anything."""
    found: list[tuple[str, Callable[[], None]]] = []
    for (method, path), operation in run.contract.operations.items():
        if method == "GET" and operation.get("parameters"):
            found.append((f"generated {operation['operationId']}", partial(_gets, run, path, count)))
    return found


def updates(document: dict[str, Any], path: str, count: int) -> list[dict[str, Any]]:
    """Bodies of updates, as the document has them and others; only objects, so that names can be put in."""
    return [case.body for case in _cases(document, path, "PUT", count) if isinstance(case.body, dict)]


def _gets(run: Run, path: str, count: int) -> None:
    """Queries as the document has them, and others; every answer is judged."""
    queries = ["&".join(_pairs(case.query or {})) for case in _cases(run.contract.document, path, "GET", count)]
    for query in dict.fromkeys(queries):
        run.get(path, query=query)


def _cases(document: dict[str, Any], path: str, method: str, count: int) -> list[Any]:
    import hypothesis
    import schemathesis

    config = schemathesis.Config.from_dict({"generation": {"mode": "all"}})
    operation = schemathesis.openapi.from_dict(document, config=config)[path][method]
    found: list[Any] = []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(operation.as_strategy())
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


def _pairs(query: dict[str, Any]) -> list[str]:
    texts = {key: value if isinstance(value, list) else [value] for key, value in query.items()}
    return [f"{_quoted(key)}={_quoted(each)}" for key, values in texts.items() for each in values]


def _quoted(value: Any) -> str:
    return quote(str(value), safe="", errors="replace")

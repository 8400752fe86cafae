"""Redaction of secrets by their names, wherever headers are shown or written."""

from __future__ import annotations

import re

REDACTED_VALUE = "redacted"
SECRET_NAME = re.compile(r"auth|cookie|token|secret|session|credential|passw|api-?key", re.IGNORECASE)
"""Names of headers whose values are redacted."""


def redact_value(name: str, value: str, keep_secrets: bool = False) -> str:
    """Return the value of a header, or REDACTED_VALUE if its name says that it is a secret."""
    return REDACTED_VALUE if not keep_secrets and SECRET_NAME.search(name) else value

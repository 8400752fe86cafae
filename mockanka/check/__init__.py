"""Checks of a controller against the contract: the session of requests, the checks, and their results."""

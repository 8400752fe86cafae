"""The Python interface for tests: the ``anka`` object, its views, the request log, and the pytest plugin."""

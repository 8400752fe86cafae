"""A real controller as a client reaches it: an HTTP client, its options, and deadlines."""

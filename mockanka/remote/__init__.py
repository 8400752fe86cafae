"""The HTTP client of a real controller, its options, and the deadline of a request."""

"""The HTTP API of the simulated controller, in Flask: how it reads requests and writes responses."""

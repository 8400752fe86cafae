"""The wire: the simulated controller and nothing else, in Flask."""

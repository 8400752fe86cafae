"""The controller as a state machine: pure, standard library only, no HTTP and no YAML."""

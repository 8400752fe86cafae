"""A proxy between clients and a controller that forwards every byte, and checks and records the exchanges."""

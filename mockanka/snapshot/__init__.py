"""Reading a controller and writing its state as a scenario."""

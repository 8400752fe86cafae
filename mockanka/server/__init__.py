"""HTTP in front of a simulator: the ASGI application, response faults, event streams, and how they are served."""

"""A controller checked against the contract: what is asked of it, and what is made of the answers."""

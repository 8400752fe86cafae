"""Exchanges as a recorder saw them, and their notation: HAR files, written and read."""

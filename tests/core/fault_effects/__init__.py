"""Tests of what lifecycle faults do, an event or a concern a file."""

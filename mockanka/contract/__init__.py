"""What the controller's API is meant to be: the document, what it is at one release, and the page on releases.

The simulator never reads it, so that each can be held against the other.
"""

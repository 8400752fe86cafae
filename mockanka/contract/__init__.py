"""The contract of the controller's API: its document, the contract of one release, conformance, and the pages on both.

The simulator never reads the document, so the two can be compared.
"""

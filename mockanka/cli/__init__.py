"""The command line: one module for each command. A command imports what it needs when it runs: ``--help`` is quick."""

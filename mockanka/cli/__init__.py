"""The command line, a command a file. Each imports what it needs when it runs, so that starting is quick."""

"""Public bug reports of clients and peers, each as a test: what tripped them must happen here too."""

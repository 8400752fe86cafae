"""Recorded exchanges, and HAR files of them."""

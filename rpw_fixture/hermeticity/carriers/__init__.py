"""Locating what carried state from one request to a later one, by experiments with the worker."""

"""Persistent workers: which actions share one, how long it lives, and how requests reach it."""

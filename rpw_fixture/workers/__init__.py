"""Persistent workers: what makes two actions share one, how long it lives, how it is spoken to."""

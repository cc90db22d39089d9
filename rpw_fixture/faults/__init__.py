"""Faults that a test can arm: how they are written, and when they strike."""

"""Faults a test can arm: how one is written, and which ones strike."""

"""Threads for calls: lanes, calls that wait without a thread, calls of clients without a token."""

"""The threads that serve calls: how many of each kind, and calls that wait without one."""

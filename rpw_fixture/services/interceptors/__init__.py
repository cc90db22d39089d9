"""Interceptors of calls: counters, injected faults, and how long the server has been idle."""

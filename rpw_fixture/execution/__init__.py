"""Execution of actions: scheduling, routing, staging, running and collecting outputs."""

"""The parts of the pytest plugin, except its fixtures and hooks."""

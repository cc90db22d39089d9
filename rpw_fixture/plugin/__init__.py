"""What the pytest plugin is made of, apart from its fixtures and hooks."""

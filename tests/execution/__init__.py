"""The way of an action: resolved, staged, run, collected, answered."""

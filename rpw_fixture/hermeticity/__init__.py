"""`check`: finds out how a worker's state and environment change its outputs."""

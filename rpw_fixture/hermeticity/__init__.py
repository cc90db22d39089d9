"""Finding out how a persistent worker's state and environment change its outputs."""

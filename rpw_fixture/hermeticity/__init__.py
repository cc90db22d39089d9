"""Finding what a persistent worker's state and surroundings do to its outputs."""

"""What was observed and found, for people and for machines."""

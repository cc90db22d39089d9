"""What must hold for long, or under a load: memory, open streams, a server killed while it writes."""

"""What all services share, and what they keep between calls."""

"""Access to a server, and hostile bytes."""

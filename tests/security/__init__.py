"""Who may reach a server, and what it makes of bytes that nobody should send."""

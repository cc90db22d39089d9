"""The numbered rules of the remote execution protocols, over the wire."""

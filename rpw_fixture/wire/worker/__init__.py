"""Bazel's worker protocol on the wire: messages, both encodings, and output that is not a message."""

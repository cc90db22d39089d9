"""Tests with a real Bazel as the client, and the helpers that only they need."""

"""Bazel's execution logs: three formats, one value for each action, and suites made of them."""

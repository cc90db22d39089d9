"""What `check` says of published workers, and the page about it: ``python -m tests.real_workers``.

A worker that can't be had here (npm, pip, a JDK, Debian's Bazel) is left out, and the page says why.
"""

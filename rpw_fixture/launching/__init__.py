"""Starts of processes: plainly, isolated from the machine, or in containers.

`launch` has the one narrow protocol, which the others wrap; `isolation` builds the launcher that a
server's config asks for.
"""

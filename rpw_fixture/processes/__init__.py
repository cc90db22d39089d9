"""Starting and killing processes, by a separate program that sweeps up behind all of them.

Nothing here knows what a process is for. `client` is what the rest of the package uses. `spawner` and the
modules it imports run in that program and need the standard library only; each process that it starts has a
`supervisor`, which no descendant can leave.
"""

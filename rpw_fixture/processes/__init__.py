"""Starting and killing processes, by a program of their own that sweeps up behind all of them.

Nothing here knows what a process is for. `client` is what the rest of the package uses; `spawner` and
the modules it imports run in that program and need the standard library only.
"""

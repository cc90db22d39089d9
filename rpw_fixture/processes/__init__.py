"""Starting and killing processes, by a separate program that cleans up after all of them.

Nothing here knows the purpose of a process. The rest of the package uses `spawner`. `spawner_program` and
the modules that it imports run in that program and need only the standard library; each process that it
starts has a `supervisor`, which no descendant can leave.
"""

"""How trials are run: on a worker of our own (`local`), or through an endpoint (`remote`).

What is tried stands in trials.py one level up, what follows from it in checks/.
"""

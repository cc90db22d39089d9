"""The settings of the present request."""

root = ""
search_path = []
variables = {}


def reset():
    search_path.clear()
    variables.clear()

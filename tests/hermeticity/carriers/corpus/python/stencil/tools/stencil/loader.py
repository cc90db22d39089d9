"""Finds partials along the search path."""

import os
from functools import lru_cache

import config
from rpw_worker import ToolError


@lru_cache(maxsize=64)
def load_partial(name):
    """The text of a partial; most pages have the same few, so each is read once."""
    for folder in config.search_path:
        path = os.path.join(config.root, folder, f"{name}.partial")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return file.read()
    raise ToolError(f"partial {name} is not in {config.search_path}")

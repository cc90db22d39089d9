"""Expands a template."""

import re

import config
from loader import load_partial
from rpw_worker import ToolError

_TAG = re.compile(r"\{\{(>?)\s*(\w+)\s*\}\}")


def _expand(tag):
    is_partial, name = tag[1], tag[2]
    if is_partial:
        return render(load_partial(name))
    try:
        return config.variables[name]
    except KeyError:
        raise ToolError(f"variable {name} is not set") from None


def render(text):
    return _TAG.sub(_expand, text)

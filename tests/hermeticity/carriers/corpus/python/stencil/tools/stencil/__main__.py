"""Stencil, a template compiler: `{{ name }}` is a variable, `{{> name }}` a partial."""

import os
import sys

import config
import rpw_worker
from render import render


def read_arguments(words):
    config.reset()
    sources, output = [], None
    words = iter(words)
    for word in words:
        if word == "--partials":
            config.search_path.append(next(words))
        elif word == "--set":
            name, _, value = next(words).partition("=")
            config.variables[name] = value
        elif word == "--out":
            output = next(words)
        else:
            sources.append(word)
    if output is None:
        raise rpw_worker.ToolError("stencil: --out is required")
    return sources, output


def handle(request):
    sources, output = read_arguments(request.expanded_arguments())
    config.root = request.sandbox_dir
    texts = [rpw_worker.read_file(request, each).decode() for each in sources]
    result = "".join(render(each) for each in texts)
    path = request.resolve(output)
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(result)
    return rpw_worker.WorkResponse()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(handle))

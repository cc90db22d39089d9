"""Palette turns a table of colours into the formats of programs that draw."""

import sys
import time

import rpw_worker
from conversion import css, hue, parse

#: What the worker did so far; a debugger shows it, and nothing else reads it.
STATISTICS = {"requests": 0, "colours": 0, "seconds": 0.0}


class Palette:
    """The colours of one source."""

    latest = None

    def __init__(self, text):
        self.colours = {}
        for number, line in enumerate(text.splitlines(), start=1):
            name, _, value = line.partition(" ")
            try:
                self.colours[name] = parse(value.strip())
            except ValueError:
                raise rpw_worker.ToolError(f"line {number}: {value} is no colour") from None
        Palette.latest = self

    def render(self, key):
        order = sorted(self.colours, key=lambda name: (key(self.colours[name]), name))
        return "".join(f"--{name}: {css(self.colours[name])};\n" for name in order)


def handle(request):
    start = time.monotonic()
    by, source, output = request.expanded_arguments()
    palette = Palette(rpw_worker.read_file(request, source).decode())
    text = palette.render(hue if by == "hue" else str)
    with open(request.resolve(output), "w", encoding="utf-8") as file:
        file.write(text)
    STATISTICS["requests"] += 1
    STATISTICS["colours"] += len(palette.colours)
    STATISTICS["seconds"] += time.monotonic() - start
    return rpw_worker.WorkResponse()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(handle))

"""Enumgen gives numbers to names, and writes them as an enum."""

import sys

import numbering
import rpw_worker


def render(enum, members):
    yield f"enum {enum} {{"
    yield from (f"  {name} = {number}," for name, number in members)
    yield "};"


def handle(request):
    arguments = request.expanded_arguments()
    if len(arguments) != 3:
        raise rpw_worker.ToolError("usage: enumgen ENUM SOURCE OUTPUT")
    enum, source, output = arguments
    names = rpw_worker.read_file(request, source).decode().split()
    with numbering.open_book() as book:
        members = [(name, book.number(name)) for name in names]
    with open(request.resolve(output), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in render(enum, members))
    return rpw_worker.WorkResponse()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(handle))

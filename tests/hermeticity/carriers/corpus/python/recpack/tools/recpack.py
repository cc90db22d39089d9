"""Recpack packs tables of names and numbers into records of a fixed size."""

import sys

import rpw_worker
from packer import Packer


def rows(text):
    for number, line in enumerate(text.splitlines(), start=1):
        name, tab, value = line.partition("\t")
        if not tab:
            raise rpw_worker.ToolError(f"line {number}: no tab")
        yield name, int(value)


class Tool:
    """Recpack behind the worker protocol."""

    def __init__(self):
        self.packer = Packer(record_size=24)

    def handle(self, request):
        source, output = request.expanded_arguments()
        text = rpw_worker.read_file(request, source).decode()
        with open(request.resolve(output), "wb") as file:
            for name, value in rows(text):
                file.write(self.packer.pack(name, value))
        return rpw_worker.WorkResponse()


def main():
    tool = Tool()
    return rpw_worker.main(tool.handle)


if __name__ == "__main__":
    sys.exit(main())

"""Constgen writes constants as a C header or as a Python module."""

import argparse
import sys

import emitters
import rpw_worker


def _make_parser():
    parser = argparse.ArgumentParser(prog="constgen", add_help=False)
    parser.add_argument("--language", choices=sorted(emitters.EMITTERS), default="c")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--guard")
    parser.add_argument("--out", required=True)
    parser.add_argument("sources", nargs="+")
    return parser


_PARSER = _make_parser()
_OPTIONS = argparse.Namespace()


def parse_constants(text):
    for number, line in enumerate(text.splitlines(), start=1):
        statement = line.split("#")[0].strip()
        if not statement:
            continue
        name, equals, value = statement.partition("=")
        if not equals:
            raise rpw_worker.ToolError(f"line {number}: NAME = VALUE expected, found {line}")
        yield name.strip(), int(value, 0)


def handle(request):
    options = _PARSER.parse_args(request.expanded_arguments(), namespace=_OPTIONS)
    constants = [
        (options.prefix + name, value)
        for source in options.sources
        for name, value in parse_constants(rpw_worker.read_file(request, source).decode())
    ]
    emit = emitters.EMITTERS[options.language]
    with open(request.resolve(options.out), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in emit(constants, options))
    return rpw_worker.WorkResponse(output=f"{len(constants)} constants\n")


if __name__ == "__main__":
    sys.exit(rpw_worker.main(handle))

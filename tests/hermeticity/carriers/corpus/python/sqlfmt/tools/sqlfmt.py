"""Formats SQL files."""

import json
import os
import sys

# Isolated mode (-I) leaves the folder of the script out.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from sqltools.formatter import format_statement
from sqltools.style import Style, current


def parse(arguments):
    options = {"style": [], "sources": [], "out": ""}
    words = iter(arguments)
    for word in words:
        if word == "--style":
            options["style"].append(next(words))
        elif word == "--out":
            options["out"] = next(words)
        elif word.startswith("@"):
            with open(word[1:], encoding="utf-8") as file:
                return parse(file.read().splitlines())
        else:
            options["sources"].append(word)
    return options


def run(arguments):
    options = parse(arguments)
    if options["style"]:
        current.set(Style.from_words(options["style"]))
    with open(options["out"], "w", encoding="utf-8") as output:
        for source in options["sources"]:
            with open(source, encoding="utf-8") as file:
                statements = file.read().split(";")
            for each in filter(str.strip, statements):
                output.write(format_statement(each) + ";\n")


def answer(request):
    try:
        run(request.get("arguments", []))
    except (OSError, ValueError, StopIteration) as error:
        return {"exitCode": 1, "output": f"sqlfmt: {error}\n"}
    return {"exitCode": 0, "output": ""}


def main():
    if "--persistent_worker" not in sys.argv:
        response = answer({"arguments": sys.argv[1:]})
        sys.stderr.write(response["output"])
        return response["exitCode"]
    while line := sys.stdin.readline():
        request = json.loads(line)
        response = answer(request) | {"requestId": request.get("requestId", 0)}
        print(json.dumps(response), flush=True)
    return 0


sys.exit(main())

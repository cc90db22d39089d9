"""Minilint checks texts by rules, and projects bring more rules as plug-ins."""

import importlib.util
import json
import sys

import builtin_rules  # noqa: F401 - defines the rules that all projects have
from rule import RuleType


def load_plugin(path):
    spec = importlib.util.spec_from_file_location("minilint_plugin", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def lint(source):
    rules = [RuleType.known[name]() for name in sorted(RuleType.known)]
    with open(source, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            for rule in rules:
                message = rule.check(line.rstrip("\n"))
                if message:
                    yield f"{source}:{number}: {message} [{rule.name}]"


def run(arguments):
    if arguments and arguments[0].startswith("@"):
        with open(arguments[0][1:], encoding="utf-8") as file:
            arguments = file.read().splitlines()
    options, sources = {}, []
    for each in arguments:
        name, equals, value = each.partition("=")
        if name in ("--plugin", "--report") and equals:
            options[name] = value
        elif each.startswith("-"):
            raise ValueError(f"unknown option {name}")
        else:
            sources.append(each)
    if "--plugin" in options:
        load_plugin(options["--plugin"])
    problems = [each for source in sources for each in lint(source)]
    with open(options["--report"], "w", encoding="utf-8") as file:
        file.writelines(f"{each}\n" for each in problems or ["no problems"])


def main():
    if "--persistent_worker" not in sys.argv:
        run(sys.argv[1:])
        return
    for line in sys.stdin:
        request = json.loads(line)
        response = {"exitCode": 0, "output": "", "requestId": request.get("requestId", 0)}
        try:
            run(request["arguments"])
        except Exception as error:  # noqa: BLE001 - a request that fails ends no worker
            response.update(exitCode=2, output=f"minilint: {error!r}\n")
        print(json.dumps(response), flush=True)


main()

"""A small assembler: `python3 -m asm [--persistent_worker] --out OBJECT SOURCE…`."""

import json
import sys

from asm.assembler import AssemblyError, assemble


def expand(arguments):
    for each in arguments:
        if each.startswith("@"):
            with open(each[1:], encoding="utf-8") as file:
                yield from file.read().splitlines()
        else:
            yield each


def run(arguments):
    arguments = list(expand(arguments))
    try:
        at = arguments.index("--out")
        output = arguments[at + 1]
        del arguments[at : at + 2]
        lines = [line for source in arguments for line in assemble(source)]
        with open(output, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except (AssemblyError, ValueError, OSError) as error:
        return 1, f"asm: {error}\n"
    return 0, ""


def serve():
    for line in sys.stdin:
        request = json.loads(line)
        exit_code, output = run(request.get("arguments", []))
        response = {
            "exitCode": exit_code,
            "output": output,
            "requestId": request.get("requestId", 0),
        }
        sys.stdout.write(json.dumps(response) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    if "--persistent_worker" in sys.argv:
        sys.exit(serve())
    status, text = run(sys.argv[1:])
    sys.stderr.write(text)
    sys.exit(status)

"""The compiler: concatenates files in capitals; a persistent worker that speaks JSON.

Arguments: ``--out FILE``, then the inputs. Nothing is remembered from one request to the next.
"""

from __future__ import annotations

import json
import sys


def compile_files(arguments: list[str]) -> None:
    """Run the tool; raises OSError and UnicodeDecodeError for inputs that can't be used."""
    if len(arguments) < 2 or arguments[0] != "--out":
        raise ValueError("usage: --out FILE INPUT…")
    texts = []
    for path in arguments[2:]:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read().upper())
    with open(arguments[1], "w", encoding="utf-8") as file:
        file.write("".join(texts))


def answer(arguments: list[str]) -> tuple[int, str]:
    """The exit code and what the user gets to read."""
    try:
        compile_files(arguments)
    except (OSError, ValueError) as error:
        return 1, f"upper: {error}\n"
    return 0, ""


def serve() -> None:
    """Answer requests until stdin ends; stdout belongs to the responses."""
    responses, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        exit_code, output = answer(request.get("arguments", []))
        response = {"exitCode": exit_code, "output": output}
        response["requestId"] = request.get("requestId", 0)
        print(json.dumps(response), file=responses, flush=True)


def expanded(arguments: list[str]) -> list[str]:
    """The arguments with flagfiles replaced by their lines, as one-shot runs need it."""
    result: list[str] = []
    for argument in arguments:
        if argument.startswith("@"):
            with open(argument[1:], encoding="utf-8") as file:
                result += file.read().splitlines()
        else:
            result.append(argument)
    return result


if __name__ == "__main__":
    if "--persistent_worker" in sys.argv:
        serve()
    else:
        code, text = answer(expanded(sys.argv[1:]))
        sys.stderr.write(text)
        sys.exit(code)

"""Textpack puts text files into one; `--skip GLOB` leaves lines out."""

import json
import sys

from options import OptionError, parse
from packing import pack


def answer(arguments):
    try:
        options = parse(arguments)
        pack(options)
    except (OptionError, OSError) as error:
        return 1, f"textpack: {error}\n"
    return 0, f"{options.output}: {len(options.sources)} files\n" if options.verbose else ""


def main():
    if "--persistent_worker" not in sys.argv:
        exit_code, text = answer(sys.argv[1:])
        sys.stderr.write(text)
        return exit_code
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        exit_code, text = answer(request.get("arguments", []))
        response = {"exitCode": exit_code, "output": text}
        if request.get("requestId"):
            response["requestId"] = request["requestId"]
        print(json.dumps(response), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Transcribe writes text in another alphabet; tables of alphabets are a part of the tool."""

import hashlib
import json
import sys
from collections import OrderedDict

from tables import Tables


class Transcriber:
    """The tool; it keeps tables, and the newest results by the digest of what they depend on."""

    def __init__(self):
        self._tables = Tables()
        self._results = OrderedDict()

    def transcribe(self, text, alphabet):
        key = hashlib.sha256(json.dumps([text, alphabet]).encode()).digest()
        if key in self._results:
            self._results.move_to_end(key)
            return self._results[key]
        result = text.translate(self._tables.table(alphabet))
        self._results[key] = result
        if len(self._results) > 100:
            self._results.popitem(last=False)
        return result

    def run(self, arguments):
        if arguments[0].startswith("@"):
            with open(arguments[0][1:], encoding="utf-8") as file:
                arguments = file.read().splitlines()
        alphabet, source, output = arguments
        with open(source, encoding="utf-8") as file:
            text = file.read()
        with open(output, "w", encoding="utf-8") as file:
            file.write(self.transcribe(text, alphabet))

    def answer(self, arguments):
        try:
            self.run(arguments)
        except (OSError, ValueError) as error:
            return 1, f"transcribe: {error}\n"
        return 0, ""


def main():
    tool = Transcriber()
    if "--persistent_worker" not in sys.argv:
        exit_code, text = tool.answer(sys.argv[1:])
        sys.stderr.write(text)
        return exit_code
    for line in sys.stdin:
        request = json.loads(line)
        exit_code, text = tool.answer(request["arguments"])
        response = {"exitCode": exit_code, "output": text, "requestId": request.get("requestId", 0)}
        sys.stdout.write(json.dumps(response) + "\n")
        sys.stdout.flush()
    return 0


sys.exit(main())

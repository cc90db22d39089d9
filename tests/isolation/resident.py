"""A worker (JSON protocol) that stays, with a secret in its folders, and says where they are."""

import json
import os
import sys

for line in sys.stdin:
    token = json.loads(line)["arguments"][0]
    places = [os.getcwd(), os.environ.get("TMPDIR", os.getcwd())]
    for place in places:
        with open(f"{place}/resident.txt", "w") as file:
            file.write(token)
    with open("/proc/self/status") as file:
        status = dict(each.split(":\t", 1) for each in file.read().splitlines())
    output = json.dumps({"places": places, "status": status})
    print(json.dumps({"exitCode": 0, "output": output}), flush=True)

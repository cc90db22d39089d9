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
    print(json.dumps({"exitCode": 0, "output": json.dumps(places)}), flush=True)

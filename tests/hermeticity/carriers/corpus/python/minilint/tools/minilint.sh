#!/bin/sh
# The launcher: it finds the tool beside itself.
exec python3 -B "${0%/*}/minilint/main.py" "$@"

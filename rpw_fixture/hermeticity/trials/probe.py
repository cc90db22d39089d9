"""Does an endpoint keep persistent workers? Few say who ran a request, so a tiny worker counts its own.

The worker is a POSIX shell script with a file tool or two: whatever runs actions has these. What its
count means for the checks is `target`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File

#: Requests with one key; few, as each may wait for a machine.
REQUESTS = 4
_SCRIPT_PATH = "rpw-probe/probe.sh"
_SAID = re.compile(r"rpw-probe: (?:request (\d)|one-shot)")
#: Takes one request after the other without looking at it, and answers with how many there were.
_HEAD = """\
#!/bin/sh
case " $* " in
*" --persistent_worker "*) ;;
*) echo 'rpw-probe: one-shot'; exit 0 ;;
esac
count=0
byte() { od -An -tu1 -N1 | tr -d ' \\n'; }
"""
#: A frame is its length as a varint, then so many bytes; `od -N1` and `head -c` read no further.
_PROTO = """\
while :; do
    length=0 factor=1
    while next=$(byte); do
        test -n "$next" || exit 0
        length=$((length + next % 128 * factor)) factor=$((factor * 128))
        test "$next" -ge 128 || break
    done
    head -c "$length" >/dev/null
    count=$((count + 1))
    printf '\\027\\022\\025rpw-probe: request %s\\n' "$count"
done
"""
#: A JSON request ends where its braces are closed; the probe's own hold no brace in a text.
_JSON = """\
while :; do
    depth=0 begun=
    while test -z "$begun" || test "$depth" -gt 0; do
        next=$(byte)
        test -n "$next" || exit 0
        case $next in 123) depth=$((depth + 1)) begun=1 ;; 125) depth=$((depth - 1)) ;; esac
    done
    count=$((count + 1))
    printf '{"exitCode":0,"output":"rpw-probe: request %s\\\\n"}\\n' "$count"
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What came of a probe.

    Attributes:
        kept: requests that met a worker which had served the one before.
        one_shots: requests that met no worker.
        is_shared: another worker key led to the same worker, as on servers that go by tool inputs.
        needs_silo: of all properties only ``cache-silo-key`` leads to another worker.
        problem: why nothing can be told; empty when something can.
    """

    kept: int = 0
    one_shots: int = 0
    is_shared: bool = False
    needs_silo: bool = False
    problem: str = ""


def action(*, protocol: str, has_tool_inputs: bool) -> Action:
    """The probe's action, which all its requests ask for.

    Args:
        protocol: ``proto`` or ``json``.
        has_tool_inputs: mark the script as a tool input, which is what some servers go by.
    """
    script = _HEAD + (_JSON if protocol == "json" else _PROTO)
    files = {_SCRIPT_PATH: File(script.encode(), is_executable=True)}
    return Action(
        arguments=(_SCRIPT_PATH,),
        flagfile=("--rpw-probe",),
        flagfile_path="rpw-probe.params",
        tool_inputs=files if has_tool_inputs else {},
        inputs={} if has_tool_inputs else files,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        protocol=None if protocol == "proto" else protocol,
        timeout=10.0,
        do_not_cache=True,
        mnemonic="RpwProbe",
        target="probe",
    )


def judge(texts: list[str]) -> ProbeResult:
    """What the responses to the probe's requests tell: those with one key, then one with another."""
    counts = [int(said[1] or 0) for said in map(_SAID.search, texts) if said is not None]
    if len(counts) < len(texts):
        return ProbeResult(problem="a probe of ours was not answered as it does")
    *own, other = counts
    return ProbeResult(
        kept=sum(each > 1 for each in own), one_shots=own.count(0), is_shared=other > 1
    )


def is_first(text: str) -> bool:
    """Return whether the response says that its worker served its first request."""
    said = _SAID.search(text)
    return said is not None and said[1] == "1"

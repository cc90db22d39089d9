"""A probe for whether an endpoint keeps persistent workers: a tiny worker that counts its requests.

Few endpoints say which worker ran a request. The worker is a POSIX shell script that needs only `od`,
`head` and `tr`, which every machine that runs actions has. `checks.remote_limits` says what the count
means for the checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol

#: Number of requests with one key; few, because each may wait for a machine.
REQUESTS = 4
_SCRIPT_PATH = "rpw-probe/probe.sh"
_SAID = re.compile(r"rpw-probe: (?:request (\d)|one-shot)")
#: Reads one request after the other without parsing it, and responds with their number.
_HEAD = """\
#!/bin/sh
case " $* " in
*" --persistent_worker "*) ;;
*) echo 'rpw-probe: one-shot'; exit 0 ;;
esac
count=0
byte() { od -An -tu1 -N1 | tr -d ' \\n'; }
"""
#: A frame is its length as a varint, then its bytes; `od -N1` and `head -c` read no further.
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
#: A JSON request ends where its braces are closed; the probe's requests have no brace in a text.
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
    """The result of a probe.

    Attributes:
        kept: number of requests served by the worker of an earlier request.
        one_shots: number of requests that ran one-shot.
        is_shared: another worker key led to the same worker, as on servers that use tool inputs only.
        needs_silo: only the property ``cache-silo-key`` leads to another worker.
        problem: why the probe failed; empty if it did not.
    """

    kept: int = 0
    one_shots: int = 0
    is_shared: bool = False
    needs_silo: bool = False
    problem: str = ""


def action(*, protocol: WorkerProtocol, has_tool_inputs: bool) -> Action:
    """Return the probe's action, which is the same for all its requests.

    Args:
        protocol: protocol of the worker that the server is asked for.
        has_tool_inputs: mark the script as a tool input, because some servers use only those as key.
    """
    script = _HEAD + (_JSON if protocol == WorkerProtocol.JSON else _PROTO)
    files = {_SCRIPT_PATH: File(script.encode(), is_executable=True)}
    return Action(
        arguments=(_SCRIPT_PATH,),
        flagfile=("--rpw-probe",),
        flagfile_path="rpw-probe.params",
        tool_inputs=files if has_tool_inputs else {},
        inputs={} if has_tool_inputs else files,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        protocol=None if protocol == WorkerProtocol.PROTO else protocol,
        timeout=10.0,
        do_not_cache=True,
        mnemonic="RpwProbe",
        target="probe",
    )


def judge(texts: list[str]) -> ProbeResult:
    """Return the result of a probe from its responses: those with one key, then one with another."""
    counts = [int(said[1] or 0) for said in map(_SAID.search, texts) if said is not None]
    if len(counts) < len(texts):
        return ProbeResult(problem="a probe has an unexpected response")
    *own, other = counts
    return ProbeResult(
        kept=sum(each > 1 for each in own), one_shots=own.count(0), is_shared=other > 1
    )


def is_first(text: str) -> bool:
    """Return whether the response is the first one of its worker."""
    said = _SAID.search(text)
    return said is not None and said[1] == "1"

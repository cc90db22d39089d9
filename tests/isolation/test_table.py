"""Every cell of the table in docs/isolation.md, tried over the wire.

The attempts are those of the folder ``attempts``. What the machine lets the same user do without a
server is tried as well: ``open`` and ``settings`` mean that isolation changes nothing of that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.launching import landlock_step

from .machine import HERE, PYTHON, ROWS, USER, Machine
from .table import KINDS, Row

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="both kinds need Linux")
#: What comes of an attempt at something that the machine refuses anyway, or does not have.
_NOTHING = frozenset({"refused", "hidden"})
_ORIGINS = ("user", "root")


@pytest.fixture(
    scope="module", params=[(user, kind) for user in _ORIGINS for kind in KINDS], ids="-".join
)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    user, kind = request.param
    prefix, number = _becoming(user)
    _require(kind, prefix)
    with Machine(kind, prefix, number) as machine:
        yield machine


def _becoming(user: str) -> tuple[tuple[str, ...], int]:
    """Return what starts a command as root, or as a user without rights, and the user's number."""
    is_root = os.geteuid() == 0
    if user == "root" and not is_root:
        pytest.skip("the tests do not run as root")
    if user == "root" or not is_root:
        return (), os.geteuid()
    prefix = (*PYTHON, str(HERE / "as_user.py"), str(USER))
    tried = subprocess.run(
        [*prefix, sys.executable, "-c", "import rpw_fixture"],
        capture_output=True,
        check=False,
        cwd=HERE.parents[1],
    )
    if tried.returncode:
        pytest.skip(f"no other user can run this interpreter: {tried.stderr.decode()[-300:]}")
    return prefix, USER


def _require(kind: str, prefix: tuple[str, ...]) -> None:
    """Skip where that user has no such isolation; fail where the environment demands it."""
    command = [*prefix, sys.executable, "-m", "rpw_fixture", "doctor", "--format=json"]
    said = subprocess.run(command, capture_output=True, check=True, cwd=HERE.parents[1]).stdout
    answer, _, obstacle = json.loads(said).get(f"isolation {kind}", "yes").partition(": ")
    if answer != "no":
        return
    if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
        pytest.fail(f"{kind}: {obstacle}; RPW_FIXTURE_REQUIRE_INTEROP=1 demands it", pytrace=False)
    pytest.skip(f"{kind}: {obstacle}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.probe)
def test_cell(row: Row, machine: Machine) -> None:
    is_root = machine.user == 0
    version = landlock_step.version() if machine.kind == "landlock" else 0
    cell = row.cell(machine.kind, is_root=is_root, landlock=version)

    found, plainly = machine.behind[row.probe], machine.directly[row.probe]

    if cell in {"open", "settings"}:
        assert found == plainly
    elif plainly in _NOTHING:
        assert found in _NOTHING
    else:
        assert found == cell


def test_a_worker_keeps_no_capability_either(machine: Machine) -> None:
    status = machine.worker_status
    sets = {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    if machine.kind == "none":
        assert (
            status["NoNewPrivs"]
            == Path("/proc/self/status").read_text().partition("NoNewPrivs:\t")[2][0]
        )
    else:
        assert (status["NoNewPrivs"], sets) == ("1", {"0" * 16})


def test_every_attempt_is_in_the_table_once() -> None:
    command = [*PYTHON, str(HERE / "attempts"), "--list"]
    names = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert sorted(row.probe for row in ROWS) == names

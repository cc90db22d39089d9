"""Seeing the effect of a variation in a probe process: a small Python program in place of the worker.

A time zone whose data are not installed, or a library that is not loaded, changes nothing for any worker.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rpw_fixture.hermeticity.suites.suite import SuiteWorker
from rpw_fixture.hermeticity.trials.trial import Variation
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import Beneath

_PATIENCE = 10.0
#: Writes what each factor looks like in the process, by its name in findings.
_PROGRAM = """
import json, locale, os, sys, time
try:
    found = locale.setlocale(locale.LC_ALL, "")
except locale.Error:
    found = ""
values = {
    "TZ": time.strftime("%z"),
    "locale": found,
    "umask": os.umask(0),
    "user": os.environ.get("USER"),
    "HOME": os.environ.get("HOME"),
    "TMPDIR": os.environ.get("TMPDIR"),
    "an unrelated variable": os.environ.get("RPW_CANARY"),
    "hostname": os.uname().nodename,
    "clock": int(time.time()) // 86400,
    "hash seed": hash("rpw"),
}
if hasattr(os, "sched_getaffinity"):
    values["CPU count"] = len(os.sched_getaffinity(0))
sys.stderr.write(json.dumps(values))
"""


def effects(
    worker: SuiteWorker, spawner: Spawner, store: BlobStore, variation: Variation, folder: Beneath
) -> Mapping[str, object]:
    """Return what each factor looks like to a process under a variation; empty if that is unknown.

    Args:
        worker: the worker under test, for the variables that its suite sets.
        spawner: starts processes.
        store: takes inputs; there are none.
        variation: the environment.
        folder: the folder of the run; it is emptied before.

    Raises:
        UnavailableError: this machine does not support the variation.
    """
    command = (sys.executable, "-S", "-c", _PROGRAM)
    probe = SuiteWorker(command=command, environment=worker.environment)
    setup = WorkerSetup(probe, spawner, store)
    with setup.started(setup.prepare(variation, folder)) as session:
        session.finish(_PATIENCE)
        session.stderr.drain()
        text = session.stderr.text
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The suites whose findings are compared, at home and on clusters: good and broken workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.hermeticity.sample_languages import build_jar, stage_java, stage_node, stage_shell
from tests.hermeticity.samples import CANCELLATION, MULTIPLEX, stage

_BOTH = f"{MULTIPLEX}\n{CANCELLATION}"


@dataclass(frozen=True, kw_only=True)
class ComparedSuite:
    """A suite, and the codes for which it is checked.

    Attributes:
        name: what the table calls it.
        write: writes it into a folder and returns its path.
        select: the codes, separated by commas: those of the bug, and some more.
        program: what the machines need beyond Python and a shell.
    """

    name: str
    write: Callable[[Path], Path]
    select: str
    program: str = ""


def _sample(
    script: str,
    *arguments: str,
    worker: str = "",
    headers: tuple[str, ...] = ("alpha", "beta"),
    with_failure: bool = False,
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        return stage(
            *(folder, script, *arguments), worker=worker, headers=headers, with_failure=with_failure
        )

    return write


def _java(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return stage_java(folder, build_jar(folder), MULTIPLEX)


SUITES = (
    ComparedSuite(
        name="good",
        write=_sample("good.py", with_failure=True),
        select="RPW101,RPW102,RPW103,RPW107,RPW108,RPW211",
    ),
    ComparedSuite(name="leaks state", write=_sample("leaky.py"), select="RPW202"),
    ComparedSuite(name="keeps inputs", write=_sample("stale_input.py"), select="RPW203,RPW401"),
    ComparedSuite(
        name="paths in outputs", write=_sample("path_in_output.py"), select="RPW208,RPW210"
    ),
    ComparedSuite(name="environment", write=_sample("environment.py"), select="RPW209"),
    ComparedSuite(name="never ends", write=_sample("ignores_eof.py"), select="RPW106,RPW112"),
    ComparedSuite(name="left processes", write=_sample("orphans.py"), select="RPW106,RPW112"),
    ComparedSuite(
        name="leaks descriptors", write=_sample("descriptor_leak.py"), select="RPW302,RPW303"
    ),
    ComparedSuite(name="leaks memory", write=_sample("memory_leak.py"), select="RPW301"),
    ComparedSuite(
        name="cancels badly",
        write=_sample("cancels_badly.py", "--bug=leftovers", worker=_BOTH),
        select="RPW110",
    ),
    ComparedSuite(
        name="mixes answers up",
        write=_sample("mixed_up.py", worker=MULTIPLEX),
        select="RPW111,RPW117",
    ),
    ComparedSuite(
        name="good, sandboxes",
        write=_sample("multiplex.py", worker=f"{_BOTH}\nsandbox = true"),
        select="RPW110,RPW111,RPW116,RPW117,RPW213",
    ),
    ComparedSuite(
        name="ignores sandboxes",
        write=_sample("ignores_sandbox.py", worker=f"{MULTIPLEX}\nsandbox = true"),
        select="RPW116",
    ),
    ComparedSuite(name="shell, JSON", write=stage_shell, select="RPW107,RPW114,RPW115,RPW211"),
    ComparedSuite(
        name="Node.js, JSON", write=stage_node, select="RPW107,RPW114,RPW115,RPW211", program="node"
    ),
    ComparedSuite(
        name="Java, multiplex", write=_java, select="RPW107,RPW111,RPW211", program="javac"
    ),
)

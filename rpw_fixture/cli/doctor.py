"""``doctor``: show what this machine offers to a server."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib import metadata

from rpw_fixture._version import __version__
from rpw_fixture.cli.standard_streams import write_line
from rpw_fixture.support.program_form import program_form

_ENGINES = ("docker", "podman")
_PACKAGES = ("grpcio", "protobuf", "pytest", "psutil")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``doctor``."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format")


def run(options: argparse.Namespace) -> int:
    """Print facts, one a line."""
    facts = _facts()
    if options.format == "json":
        write_line(json.dumps(facts, indent=2))
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        write_line(f"{name:<{width}}  {value}")
    return 0


def _facts() -> dict[str, str]:
    from rpw_fixture.support import workspace  # noqa: PLC0415 - only this command needs it
    from rpw_fixture.wire.compression import available  # noqa: PLC0415
    from rpw_fixture.wire.digests import FUNCTIONS  # noqa: PLC0415

    facts = {"rpw_fixture": f"{__version__} ({program_form()})"}
    facts["python"] = f"{sys.version.split()[0]} ({sys.executable})"
    facts |= {name: _version(name) for name in _PACKAGES}
    facts["digest functions"] = ", ".join(FUNCTIONS)
    facts["compressors"] = ", ".join(each.name for each in available().values()) or "none"
    facts["staging"] = workspace.base()
    for program in ("bazel", "bazelisk", "buck2", "java", "node", "strace"):
        facts[program] = shutil.which(program) or "not found"
    return facts | _isolation()


def _version(package: str) -> str:
    """Return a package's version; the single file and the zipapp come without pytest."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _isolation() -> dict[str, str]:
    """Return which kinds of isolation and container engines work here, and why others do not."""
    from rpw_fixture.config.choices import IsolationKind  # noqa: PLC0415
    from rpw_fixture.launching import container_runtime, isolation, landlock  # noqa: PLC0415
    from rpw_fixture.processes.spawner import Spawner  # noqa: PLC0415

    with Spawner() as spawner:
        obstacles = {
            f"isolation {kind}": isolation.why_unavailable(kind, spawner)
            for kind in IsolationKind
            if kind is not IsolationKind.NONE
        }
        obstacles |= {
            f"containers, {engine}": container_runtime.why_unavailable(engine, spawner)
            for engine in _ENGINES
        }
    facts = {name: f"no: {why}" if why else "yes" for name, why in obstacles.items()}
    if not obstacles["isolation landlock"] and (gaps := landlock.find_gaps()):
        facts["isolation landlock"] = f"yes; this kernel leaves open: {', '.join(gaps)}"
    return facts

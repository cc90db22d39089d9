"""``init``: write a start that runs, with a worker, a suite, a test and a Bazel rule."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from string import Template

from rpw_fixture.cli.parsers import to_path
from rpw_fixture.cli.standard_streams import write_line
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.testing.sample_workers import python_workers

_TEMPLATES = Path(__file__).with_name("init_files")
_SUFFIX = ".template"
_EXECUTABLE, _PROTOCOL_MODULE = "tools/worker", "tools/rpw_worker.py"
_NEXT = (
    ("rpw-fixture check suite.toml", "test the worker for state leaks and protocol errors"),
    ("python -m pytest", "run test_worker.py"),
    (
        "rpw-fixture run --tool-input 'tools/**' -- bazel build //...",
        "build the rule's targets on a worker",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``init``."""
    parser.epilog = (
        "No file is overwritten: if one of them exists, nothing is written (exit code 2)."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=to_path,
        default=Path(),
        metavar="DIR",
        help="where to write; made if missing (default: the current folder)",
    )
    parser.add_argument(
        "--protocol",
        choices=("proto", "json"),
        default="proto",
        help="the worker's protocol (default: proto, as in Bazel)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the files, and print what to run next."""
    files = start_files(options.protocol)
    _refuse_existing(options.folder, files)
    try:
        for path, text in files.items():
            _write(options.folder / path, text, is_executable=path == _EXECUTABLE)
    except OSError as error:
        raise EnvironmentLacksError(f"{error.filename}: {error.strerror}") from None
    write_line(f"Wrote to {options.folder.resolve()}:\n  {'  '.join(files)}\n\nNext:")
    if options.folder.resolve() != Path.cwd():
        write_line(f"  cd {shlex.quote(str(options.folder))}")
    for command, purpose in _NEXT:
        write_line(f"  {command}\n      # {purpose}")
    return 0


def start_files(protocol: str) -> dict[str, str]:
    """Return the text of each file by its path.

    Raises:
        EnvironmentLacksError: if the package was installed without the sample workers.
    """
    startup = "" if protocol == "proto" else '"--worker_protocol=json"'
    values = {
        "protocol": protocol,
        "suite_startup": f", {startup}" if startup else "",
        "bazel_startup": f"{startup}, " if startup else "",
    }
    files = {}
    for path in sorted(_TEMPLATES.rglob(f"*{_SUFFIX}")):
        name = path.relative_to(_TEMPLATES).as_posix().removesuffix(_SUFFIX)
        text = path.read_text("utf-8")
        # The dollars of the shell script are for the shell.
        files[name] = text if name == _EXECUTABLE else Template(text).substitute(values)
    files[_PROTOCOL_MODULE] = (python_workers() / "rpw_worker.py").read_text("utf-8")
    return files


def _refuse_existing(folder: Path, files: dict[str, str]) -> None:
    for each in (folder, *(folder / path for path in ("tools", "src"))):
        if os.path.lexists(each) and not each.is_dir():
            raise ConfigError(f"{each} exists and is no folder; nothing was written")
    found = [path for path in files if os.path.lexists(folder / path)]
    if found:
        raise ConfigError(
            f"{folder.resolve()} already has {', '.join(found)}; nothing was written. "
            "Name an empty folder: rpw-fixture init DIR"
        )


def _write(path: Path, text: str, *, is_executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    if is_executable:
        path.chmod(path.stat().st_mode | 0o111)

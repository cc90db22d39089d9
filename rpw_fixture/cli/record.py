"""``record``: stand between a build tool and a worker, and write a recording of what passes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rpw_fixture.cli.parsers import to_path
from rpw_fixture.errors import ConfigError
from rpw_fixture.storage.recording_folder import RecordingFolder
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``record``."""
    parser.usage = "rpw-fixture record [options] DIR -- WORKER [ARG…]"
    parser.epilog = (
        "Put it in front of the worker in the script that your build tool starts:\n"
        '    exec rpw-fixture record /tmp/recording -- "${0%/*}/worker" "$@"\n'
        "Then check the build: rpw-fixture check /tmp/recording\n\n"
        "The exit code is the worker's; 2 and 3 if it was not started."
    )
    parser.add_argument(
        "folder", type=to_path, metavar="DIR", help="the recording; one that is there is continued"
    )
    parser.add_argument(
        "worker",
        nargs=argparse.REMAINDER,
        metavar="WORKER",
        help="the worker's command line, after --",
    )
    parser.add_argument(
        "--protocol",
        choices=("auto", "proto", "json"),
        default="auto",
        help="the worker's protocol (default: auto, seen from the first request)",
    )
    parser.add_argument(
        "--tool-input",
        action="append",
        default=[],
        metavar="GLOB",
        help="inputs that belong to the worker (repeatable; default: files that its command line "
        "names, their runfiles, and the folder of the first)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the worker; return its exit code."""
    # Only the first -- is ours.
    command = options.worker[1:] if options.worker[:1] == ["--"] else options.worker
    if not command:
        raise ConfigError("name the worker: rpw-fixture record DIR -- WORKER [ARG…]")
    if command is options.worker and command[0].startswith("-"):
        raise ConfigError(f"{command[0]} is no worker; options stand before DIR, and -- behind it")
    folder = RecordingFolder(options.folder, "record")
    if PERSISTENT_FLAG not in command:
        return _run_one_shot(folder, command)
    from rpw_fixture.workers.tee.relay import Relay, end_like  # noqa: PLC0415 - only for workers

    relay = Relay(command)
    # The worker starts while the rest is loaded.
    from rpw_fixture.workers.tee.conversation import RecordedConversation, TeedWorker  # noqa: PLC0415

    started = TeedWorker(
        command=command,
        folder=str(Path.cwd()),
        environment=dict(os.environ),
        tool_globs=options.tool_input,
    )
    protocol = "" if options.protocol == "auto" else options.protocol
    conversation = RecordedConversation(folder, started, protocol)
    conversation.keep_tools()
    status = relay.run(conversation)
    conversation.end(_ending(status))
    folder.close()
    return end_like(status)


def _run_one_shot(folder: RecordingFolder, command: Sequence[str]) -> int:
    """Become the tool, because nothing passes that could be recorded."""
    folder.explain_gap(f"{command[0]} was started without {PERSISTENT_FLAG}, so as a one-shot tool")
    folder.close()
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - what the user asked for
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be started: {error.strerror}") from None


def _ending(status: int) -> str:
    return f"ended with exit status {status}" if status >= 0 else f"was killed by signal {-status}"

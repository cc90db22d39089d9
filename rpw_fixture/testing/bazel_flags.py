"""Flags for a given version of Bazel, and where in its command line they go."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import PurePath

#: The first Bazel that marks tool inputs (bazel#16362).
_MARKS_TOOLS_FROM = (6, 0)
MARK_FLAG = "--experimental_remote_mark_tool_inputs"
#: Commands that take the flags of a build.
_BUILDING = {"build", "test", "run", "coverage", "mobile-install"}
#: Startup options whose value may be a separate argument (``bazel help startup_options``).
_WITH_VALUE = {
    "--bazelrc",
    "--cgroup_parent",
    "--command_port",
    "--connect_timeout_secs",
    "--digest_function",
    "--experimental_cgroup_parent",
    "--failure_detail_out",
    "--host_jvm_args",
    "--host_jvm_profile",
    "--install_base",
    "--invocation_policy",
    "--io_nice_level",
    "--local_startup_timeout_secs",
    "--macos_qos_class",
    "--max_idle_secs",
    "--output_base",
    "--output_user_root",
    "--server_javabase",
    "--server_jvm_out",
    "--unix_digest_hash_attribute_name",
}


def marks_tool_inputs(version: str, knows_flag: Callable[[], bool]) -> bool:
    """Return whether a Bazel marks tool inputs, by the output of ``bazel --version``.

    Args:
        knows_flag: decides for builds of distributions, which may print ``no_version``.
    """
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None:
        return knows_flag()
    return (int(found[1]), int(found[2])) >= _MARKS_TOOLS_FROM


def is_bazel(program: str) -> bool:
    """Return whether a command is ``bazel`` or ``bazelisk``, by its name."""
    return re.fullmatch(r"bazel(isk)?([-.]\S*)?", PurePath(program).name) is not None


def with_flags(command: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return a Bazel command line with more flags behind its command word, if it builds anything."""
    arguments = iter(enumerate(command))
    next(arguments)
    for position, argument in arguments:
        if argument in _WITH_VALUE:
            next(arguments, None)
        elif not argument.startswith("-"):
            if argument not in _BUILDING:
                break
            return [*command[: position + 1], *flags, *command[position + 1 :]]
    return list(command)


def bazelrc(flags: Sequence[str]) -> str:
    """Return the content of a bazelrc that adds flags to every build."""
    return "".join(f"build {shlex.quote(flag)}\n" for flag in flags)

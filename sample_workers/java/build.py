#!/usr/bin/env python3
"""Compile the Java worker: ``build.py [OUTPUT]``, by default javac_worker.jar beside this file.

Uses the JDK (17 or newer) of $JAVA_HOME, else ``javac`` from PATH. The same JDK gives the same
bytes: entries are sorted and have a fixed time. Exits 3 without a JDK, 1 on compile errors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST = "Manifest-Version: 1.0\r\nMain-Class: JavaCompileWorker\r\n\r\n"
ENTRY_TIME = (2010, 1, 1, 0, 0, 0)


def find_javac() -> str | None:
    """The compiler of $JAVA_HOME, else of PATH, else None."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("javac", path=f"{home}/bin") if home else shutil.which("javac")


def build(javac: str, output: Path) -> int:
    """Write the jar; returns the compiler's exit status."""
    with tempfile.TemporaryDirectory(prefix="javac_worker") as folder:
        sources = sorted(map(str, HERE.glob("*.java")))
        command = [
            javac,
            "--release",
            "17",
            "-encoding",
            "UTF-8",
            "-g:none",
            "-d",
            folder,
            *sources,
        ]
        status = subprocess.run(command, check=False).returncode
        if status == 0:
            write_jar(Path(folder), output)
        return status


def write_jar(classes: Path, output: Path) -> None:
    with zipfile.ZipFile(output, "w") as jar:
        add(jar, "META-INF/MANIFEST.MF", MANIFEST.encode())
        for file in sorted(classes.rglob("*.class")):
            add(jar, file.relative_to(classes).as_posix(), file.read_bytes())


def add(jar: zipfile.ZipFile, name: str, content: bytes) -> None:
    jar.writestr(zipfile.ZipInfo(name, ENTRY_TIME), content, zipfile.ZIP_DEFLATED)


def main() -> int:
    javac = find_javac()
    if javac is None:
        print("no JDK: set JAVA_HOME, or put javac on PATH", file=sys.stderr)
        return 3
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "javac_worker.jar"
    return min(build(javac, output), 1)


if __name__ == "__main__":
    sys.exit(main())

"""Making the agent that observes a JVM: our Java sources, compiled with the JDK of the worker."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.execution import command_run
from rpw_fixture.launching.launch import Launch, Local
from rpw_fixture.processes.spawner import Spawner, StartError
from rpw_fixture.support.cancellation import CancelToken

SOURCES = Path(__file__).parents[1] / "carriers" / "observers" / "java"
#: Sources that need the bytecode library inside of the JDK (Java 8 to 23).
_WITH_BYTECODE = ("BirthTransformer.java", "LineFinder.java")
_LIBRARY = "java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED"
_MANIFEST = "Manifest-Version: 1.0\r\nPremain-Class: rpwfixture.observer.Observer\r\n\r\n"
_COMPILES_WITHIN = 60.0
_MOST_OUTPUT = 1 << 16
#: Trials run at the same time; one of them compiles.
_compiling = threading.Lock()


class AgentError(Exception):
    """The agent can't be made; the message says what is missing."""


def agent_jar(java: str, folder: str, spawner: Spawner) -> str:
    """Return the path of the agent's jar, which is compiled once for each folder and JDK.

    Args:
        java: absolute path of the worker's ``java``.
        folder: absolute path of a folder that is kept as long as the jar is needed.
        spawner: starts the compiler.

    Raises:
        AgentError: there is no compiler, or it fails.
    """
    compiler = find_compiler(java)
    name = f"jvm-observer-{hashlib.sha256(compiler.encode()).hexdigest()[:12]}"
    jar = os.path.join(folder, f"{name}.jar")
    with _compiling:
        if not os.path.exists(jar):
            classes = os.path.join(folder, name)
            try:
                _compile(compiler, classes, spawner)
                _pack(Path(classes), jar)
            finally:
                shutil.rmtree(classes, ignore_errors=True)
    return jar


def find_compiler(java: str) -> str:
    """Return the path of the ``javac`` that belongs to a ``java``.

    Raises:
        AgentError: there is none: it is a runtime without a compiler.
    """
    beside = Path(os.path.realpath(java)).parent
    # Java 8 has a runtime inside of the JDK.
    for each in (beside / "javac", beside.parent.parent / "bin" / "javac"):
        if os.access(each, os.X_OK):
            return str(each)
    raise AgentError(
        f"the observer of JVM workers is compiled with the worker's own JDK, but {beside} has no javac: "
        "run the worker with a JDK instead of a runtime to see which field carried the state"
    )


def _compile(compiler: str, classes: str, spawner: Spawner) -> None:
    output = ""
    for arguments in _attempts(classes):
        shutil.rmtree(classes, ignore_errors=True)
        os.mkdir(classes)
        command = Launch(
            argv=(compiler, *arguments),
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            root=classes,
        )
        try:
            result = command_run.run(
                command,
                launcher=Local(spawner),
                deadline=time.monotonic() + _COMPILES_WITHIN,
                token=CancelToken(),
                max_output_bytes=_MOST_OUTPUT,
            )
        except (OSError, StartError) as error:
            raise AgentError(f"{compiler} can't be started: {error}") from None
        if result.exit_code == 0 and not result.timed_out:
            return
        output = (result.stdout + result.stderr).decode(errors="replace").strip()
    first = output.splitlines()[0] if output else "it did not end in time"
    raise AgentError(f"the observer of JVM workers can't be compiled with {compiler}: {first}")


def _attempts(classes: str) -> Iterator[tuple[str, ...]]:
    """Yield the compiler's arguments for newer JDKs, for Java 8, and without the bytecode library."""
    sources = sorted(map(str, SOURCES.glob("*.java")))
    plain = [each for each in sources if os.path.basename(each) not in _WITH_BYTECODE]
    # The JVM's simpler compiler and collector: half the time for a program that runs a second.
    quick = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-proc:none")
    common = (*quick, "-nowarn", "-encoding", "UTF-8", "-g:none", "-d", classes)
    yield (*common, "--add-exports", _LIBRARY, *sources)
    yield (*common, "-XDignore.symbol.file", *sources)
    yield (*common, *plain)


def _pack(classes: Path, jar: str) -> None:
    """Write the jar; it is there as a whole or not at all."""
    with zipfile.ZipFile(f"{jar}.new", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", _MANIFEST)
        for each in sorted(classes.rglob("*.class")):
            archive.write(each, each.relative_to(classes).as_posix())
    os.replace(f"{jar}.new", jar)

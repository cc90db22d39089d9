"""The observers that can be loaded into workers, by runtime: how to recognise a runtime, and load one.

An observer is loaded by environment variables alone, so that it gets through any wrapper. Its files are
below `hermeticity/carriers/observers/`; they run in the worker and use only its standard library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rpw_fixture.hermeticity.trials import jvm_agent
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.processes.spawner import Spawner

#: The variable with the address that an observer connects to.
ADDRESS = "RPW_OBSERVER"
FILES = Path(__file__).parents[1] / "carriers" / "observers"


class NoObserverError(Exception):
    """An observer can't be made; the message says what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What an observer may need to be loaded.

    Attributes:
        environment: the worker's environment.
        program: the worker's interpreter, an absolute path.
        run_folder: the folders of the trial.
        spawner: starts processes, such as a compiler.
    """

    environment: Mapping[str, str]
    program: str
    run_folder: RunFolder
    spawner: Spawner


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """How an observer is loaded.

    Attributes:
        runtime: name of the runtime, as the observer says it.
        title: the same for readers.
        programs: file names of the runtime's interpreters.
        variables: returns the variables that load it; raises `NoObserverError`.
        is_tcp: it can't connect to Unix sockets.
    """

    runtime: str
    title: str
    programs: re.Pattern[str]
    variables: Callable[[Loading], Mapping[str, str]]
    is_tcp: bool = False


def _python(loading: Loading) -> Mapping[str, str]:
    known = loading.environment.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(each for each in (str(FILES / "python"), known) if each)}


def _node(loading: Loading) -> Mapping[str, str]:
    return _joined(loading, "NODE_OPTIONS", "--require {}", str(FILES / "node" / "observer.js"))


def _jvm(loading: Loading) -> Mapping[str, str]:
    # Beside the folders of all trials: it is compiled once.
    folder = os.path.dirname(loading.run_folder.folder.path)
    try:
        jar = jvm_agent.agent_jar(loading.program, folder, loading.spawner)
    except jvm_agent.AgentError as error:
        raise NoObserverError(str(error)) from None
    return _joined(loading, "JAVA_TOOL_OPTIONS", "{}", f"-javaagent:{jar}")


def _joined(loading: Loading, variable: str, form: str, argument: str) -> Mapping[str, str]:
    """Return a variable with one more option; the runtimes split at spaces outside of quotes."""
    option = form.format(f'"{argument}"' if " " in argument else argument)
    known = loading.environment.get(variable, "")
    return {variable: " ".join(each for each in (known, option) if each)}


#: All observers; the first one that fits a worker's programs is loaded.
OBSERVERS = (
    Observer(
        runtime="python",
        title="Python",
        programs=re.compile(r"(python|pypy)[\d.]*t?d?"),
        variables=_python,
    ),
    Observer(
        runtime="node",
        title="Node.js",
        programs=re.compile(r"node(js)?[\d.]*"),
        variables=_node,
    ),
    Observer(
        runtime="jvm",
        title="JVM",
        programs=re.compile(r"java"),
        variables=_jvm,
        is_tcp=True,  # before Java 16 there are no Unix sockets
    ),
)


def find(programs: tuple[str, ...]) -> tuple[Observer, str] | None:
    """Return the observer for a worker with these executables, and the one that it is loaded into."""
    for observer in OBSERVERS:
        for each in reversed(programs):
            if observer.programs.fullmatch(os.path.basename(each)):
                return observer, each
    return None


def named(runtime: str) -> Observer:
    """Return the observer of a runtime."""
    return next(each for each in OBSERVERS if each.runtime == runtime)

"""The one place that decides where an action runs, and says why."""

from __future__ import annotations

from dataclasses import dataclass

from rpw_fixture.config import Config
from rpw_fixture.errors import failed_precondition, invalid_argument
from rpw_fixture.execution.input_index import InputIndex
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.wire import flagfiles
from rpw_fixture.workers.key import WorkerKey

#: Appended last to the startup arguments, as Bazel does it; without it a tool runs one-shot.
PERSISTENT_FLAG = "--persistent_worker"
_PROTOCOLS = ("proto", "json")
#: Properties of ours beyond the seed rules, and the ability each asks for.
_ABILITIES = {
    "persistentWorkerMultiplex": "multiplex",
    "persistentWorkerSandbox": "sandbox",
    "persistentWorkerCancellation": "cancellation",
}
_CONTAINER_PROPERTIES = (
    "container-image",
    "dockerNetwork",
    "dockerAddCapabilities",
    "dockerDropCapabilities",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an action runs.

    Attributes:
        mode: ``worker`` or ``one-shot``.
        reason: names the condition that decided, in its own term.
        key: of the worker that may serve it.
        flagfiles: the arguments that go into the request.
    """

    mode: str
    reason: str
    key: WorkerKey | None = None
    flagfiles: tuple[str, ...] = ()


def route(action: ResolvedAction, config: Config, index: InputIndex) -> Route:
    """Decides by the rules of the `reference` personality.

    Raises:
        RequestError: FAILED_PRECONDITION when neither way is allowed; INVALID_ARGUMENT for a
            ``persistentWorkerProtocol`` that does not exist.
    """
    properties = action.properties
    _refuse_forbidden(properties.get("container-image", ""), config)
    client_key = properties.get("persistentWorkerKey", "")
    if not client_key:
        return Route(mode="one-shot", reason="persistentWorkerKey is not set")
    tools = index.tool_inputs(action.root)
    if not tools:
        return Route(
            mode="one-shot",
            reason="no tool input: no input is marked bazel_tool_input or matches --tool-input",
        )
    split = flagfiles.split(action.command.arguments)
    if not split.flagfiles:
        return Route(mode="one-shot", reason="no flagfile in the command line")
    if properties.get("container-image") and properties.get("dockerReuse") != "True":
        return Route(mode="one-shot", reason="dockerReuse is not True, and container-image is set")
    key = WorkerKey(
        client_key=client_key,
        instance_name=action.instance_name,
        digest_function=action.function.name,
        cache_silo_key=properties.get("cache-silo-key", ""),
        container=tuple(
            (name, properties[name]) for name in _CONTAINER_PROPERTIES if properties.get(name)
        ),
        protocol=_protocol(properties.get("persistentWorkerProtocol", ""), config),
        abilities=tuple(
            ability for name, ability in _ABILITIES.items() if properties.get(name) == "1"
        ),
        startup_arguments=(*split.startup, PERSISTENT_FLAG),
        environment=action.command.environment,
        working_directory=action.command.working_directory,
        tool_inputs=tools,
    )
    reason = f"persistentWorkerKey, {len(tools.files)} tool input(s) and a flagfile are there"
    return Route(mode="worker", reason=reason, key=key, flagfiles=split.flagfiles)


def _protocol(name: str, config: Config) -> str:
    if name and name not in _PROTOCOLS:
        raise invalid_argument(
            f"persistentWorkerProtocol is {name!r}; known are {' and '.join(_PROTOCOLS)}"
        )
    return name or config.default_protocol


def _refuse_forbidden(image: str, config: Config) -> None:
    if image and not config.allow_docker:
        raise failed_precondition(
            f"container-image {image!r}: containers are off; start the server with --allow-docker"
        )
    if not image and not config.allow_local:
        raise failed_precondition(
            "local execution is off (--no-allow-local) and the action names no container-image"
        )

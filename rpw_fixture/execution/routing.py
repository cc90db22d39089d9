"""The one place that decides where an action runs, and says why."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from rpw_fixture.config import Config
from rpw_fixture.errors import failed_precondition, invalid_argument
from rpw_fixture.events.actions import Mode
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.launching.container_command import container_properties
from rpw_fixture.support.memo import Memo
from rpw_fixture.support.paths import join_normalised
from rpw_fixture.support.plurals import counted
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.default_protocols import DefaultProtocols
from rpw_fixture.wire.flagfiles import SplitCommandLine
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG, WorkerProtocol
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.key import Ability, ToolInputs, WorkerKey, interned
from rpw_fixture.workers.personalities.rules import (
    ContainerPolicy,
    Environment,
    FlagPosition,
    Lack,
    Personality,
    PropertySource,
    Protocols,
    Trigger,
)
from rpw_fixture.workers.protocol_memory import ProtocolMemory

#: Decisions that are remembered; each takes a few hundred bytes.
_MOST_ROUTES = 4_096
#: Without it a tool runs one-shot.
KEY_PROPERTY = "persistentWorkerKey"
#: Properties of ours beyond the published rules, and the ability each asks for.
_ABILITIES = {
    "persistentWorkerMultiplex": Ability.MULTIPLEX,
    "persistentWorkerSandbox": Ability.SANDBOX,
    "persistentWorkerCancellation": Ability.CANCELLATION,
}
#: By this argument Buildfarm recognises an action of Bazel's Java compiler.
_JAVABUILDER = "external/remote_java_tools/java_tools/JavaBuilder_deploy.jar"


class Route(NamedTuple):
    """The decision where an action runs.

    Attributes:
        mode: a worker, a process for this action alone, or the action cache.
        reason: names the condition that decided, in its own term.
        key: of the worker that may serve it.
        flagfiles: the arguments that go into the request.
        is_protocol_open: neither the action nor the operator says which protocol the worker speaks,
            and it is not known yet, so the key's is a guess.
        asks_for_worker: the action has a property that asks for a worker.
        tool_inputs: number of its tool inputs.
    """

    mode: Mode
    reason: str
    key: WorkerKey | None = None
    flagfiles: tuple[str, ...] = ()
    is_protocol_open: bool = False
    asks_for_worker: bool = False
    tool_inputs: int = 0


class Router:
    """Decides by the rules of a personality, and remembers its decisions.

    A decision depends on an action's command, properties, mnemonic and tool inputs, in which most
    actions of a build are equal.

    Args:
        config: what is allowed here.
        index: knows the tool inputs.
        rules: the personality's.
        protocols: the protocols that workers were found to use.
    """

    def __init__(
        self,
        config: Config,
        index: InputIndex,
        rules: Personality,
        protocols: ProtocolMemory | None = None,
    ) -> None:
        self._protocols = protocols or ProtocolMemory()
        self._config = config
        self._index = index
        self._rules = rules
        self._known: Memo[tuple[Hashable, ...], Route] = Memo(_MOST_ROUTES)

    def route(self, action: ResolvedAction, mnemonic: str = "") -> Route:
        """Return where an action runs, and why; raises as the function `route` does."""
        tools = self._index.tool_inputs(action.root)
        same = (
            action.command.digest,
            action.action_properties,
            action.instance_name,
            action.function.name,
            mnemonic,
            tools,
        )
        known = self._known.get(same)
        if known is None:
            found = route(action, self._config, self._index, self._rules, mnemonic)
            known = self._known.put(same, found)
        if not known.is_protocol_open or known.key is None:
            return known
        answer = self._protocols.answer(known.key)
        if answer is None:
            guess = known.key.with_protocol(self._protocols.first_guess(known.key))
            return known._replace(key=guess)
        settled = known._replace(key=known.key.with_protocol(answer), is_protocol_open=False)
        return self._known.replace(same, settled)

    def clear(self) -> None:
        """Forget all decisions."""
        self._known.clear()
        self._protocols.clear()


def route(
    action: ResolvedAction,
    config: Config,
    index: InputIndex,
    rules: Personality,
    mnemonic: str = "",
) -> Route:
    """Return where an action runs, and why, by the rules of a personality.

    Args:
        action: the action.
        config: what is allowed here.
        index: knows the tool inputs.
        rules: the personality's.
        mnemonic: from the client's RequestMetadata.

    Raises:
        RequestError: FAILED_PRECONDITION when neither a worker nor a process is allowed, or for a
            platform property that is not known here; INVALID_ARGUMENT for what the personality
            refuses, such as a worker protocol that does not exist.
    """
    _refuse_unknown(action.properties, config.known_properties)
    _refuse_forbidden(action.properties.get("container-image", ""), config)
    plan = _Plan(action, config, index, rules, mnemonic)
    for lack, reason in plan.lacks():
        if lack is Lack.ERROR:
            raise invalid_argument(reason)
        if lack is Lack.ONE_SHOT:
            return Route(
                mode=Mode.ONE_SHOT,
                reason=reason,
                asks_for_worker=plan.trigger is not None,
                tool_inputs=len(plan.tools.files),
            )
    trigger = plan.trigger
    if trigger is None:
        raise ValueError("an action that nothing sends to a worker has no key")
    reason = (
        f"{trigger.name}, {counted(len(plan.tools.files), 'tool input')} and "
        f"{'a' if plan.split.flagfiles else 'no'} flagfile are there"
    )
    return Route(
        mode=Mode.WORKER,
        reason=reason,
        key=plan.key(trigger),
        flagfiles=plan.split.flagfiles,
        is_protocol_open=plan.is_protocol_open,
        asks_for_worker=True,
        tool_inputs=len(plan.tools.files),
    )


class _Plan:
    """How the rules of a personality apply to one action.

    Attributes:
        trigger: the property that asks for a worker; None when the action has none.
        is_protocol_open: see `Route.is_protocol_open`.
    """

    def __init__(
        self,
        action: ResolvedAction,
        config: Config,
        index: InputIndex,
        rules: Personality,
        mnemonic: str,
    ) -> None:
        self._action = action
        self._rules = rules
        self._mnemonic = mnemonic
        self._properties: Mapping[str, str] = action.properties
        if rules.properties.value is PropertySource.ACTION_ONLY and not action.action_properties:
            self._properties = {}
        self._index = index
        self._protocol, self.is_protocol_open = self._choose_protocol(config)
        self.trigger = self._find_trigger()

    @property
    def tools(self) -> ToolInputs:
        """The tool inputs, marked or matched."""
        return self._index.tool_inputs(self._action.root)

    @cached_property
    def split(self) -> SplitCommandLine:
        """The command line in two parts; the rules of some personalities refuse one.

        Raises:
            RequestError: INVALID_ARGUMENT for a flagfile in the wrong place.
        """
        return flagfiles.split(self._action.command.arguments, self._rules.split.value)

    def lacks(self) -> Iterator[tuple[Lack, str]]:
        """Yield what the action lacks for a worker, and what the lack leads to.

        Each condition is checked only when those before it did not decide.
        """
        rules, properties = self._rules, self._properties
        if self.trigger is None:
            yield Lack.ONE_SHOT, f"{' or '.join(map(str, rules.triggers.value))} is not set"
        if not self.tools:
            reason = "no tool input: no input is marked bazel_tool_input or matches --tool-input"
            yield rules.unmarked_tools.value, reason
        if not self.split.flagfiles:
            yield rules.no_flagfile.value, "no flagfile in the command line"
        if not self._is_executable_known():
            program = self._action.command.arguments[0]
            reason = f"program {program!r} is neither a tool input nor an absolute path"
            yield rules.unmarked_executable.value, reason
        is_reusable = properties.get("dockerReuse") == "True"
        if rules.containers.value is ContainerPolicy.NEEDS_REUSE and not is_reusable:
            lack = Lack.ONE_SHOT if properties.get("container-image") else Lack.ACCEPTED
            yield lack, "dockerReuse is not True, and container-image is set"
        protocols = rules.protocols.value
        if self._protocol not in protocols.accepted:
            yield protocols.otherwise, _unknown_protocol(protocols, self._protocol)

    def key(self, trigger: Trigger) -> WorkerKey:
        """Return the key of the worker that may serve the action."""
        action, properties, rules = self._action, self._properties, self._rules
        abilities = tuple(
            ability
            for name, ability in _ABILITIES.items()
            if properties.get(name) == "1" and ability in rules.abilities.value
        )
        parts = rules.key.value | set(trigger.parts)
        if Ability.MULTIPLEX in abilities and not rules.multiplex_key_has_tools.value:
            parts -= {"tool input"}
        is_local = rules.containers.value is ContainerPolicy.IGNORED
        key = WorkerKey(
            client_key=properties.get(KEY_PROPERTY, ""),
            instance_name=action.instance_name,
            digest_function=action.function.name,
            cache_silo_key=properties.get("cache-silo-key", ""),
            container=() if is_local else container_properties(properties),
            protocol=WorkerProtocol(self._protocol),
            abilities=abilities,
            startup_arguments=self._startup_arguments(),
            environment=self._environment(),
            working_directory=action.command.working_directory,
            tool_inputs=self.tools,
            platform=tuple(sorted(properties.items())),
            mnemonic=self._mnemonic,
            parts=frozenset(parts),
        )
        return interned(key)

    def _find_trigger(self) -> Trigger | None:
        for each in self._rules.triggers.value:
            value = self._properties.get(each.name, "")
            if value and each.value in {None, value}:
                return each
        return None

    def _choose_protocol(self, config: Config) -> tuple[str, bool]:
        """Return the protocol, and whether it is only a guess.

        The action's property decides, else the operator's setting.
        """
        protocols = self._rules.protocols.value
        if not protocols.name:
            return WorkerProtocol.PROTO, False
        given = self._properties.get(protocols.name)
        chosen = given or DefaultProtocols.parse(config.default_protocol).of(self._mnemonic)
        if chosen is not None:
            return chosen, False
        return WorkerProtocol.PROTO, len(protocols.accepted) > 1

    def _is_executable_known(self) -> bool:
        command = self._action.command
        program = command.arguments[0]
        path = join_normalised(command.working_directory, program)
        return program.startswith("/") or any(each.path == path for each in self.tools.files)

    def _startup_arguments(self) -> tuple[str, ...]:
        if self._rules.flag_position.value is FlagPosition.FIRST:
            return (*self.split.startup[:1], PERSISTENT_FLAG, *self.split.startup[1:])
        return (*self.split.startup, PERSISTENT_FLAG)

    def _environment(self) -> tuple[tuple[str, str], ...]:
        environment = self._rules.environment.value
        if environment is Environment.SERVER:
            return tuple(sorted(os.environ.items()))
        is_emptied = environment is Environment.COMMAND_OR_EMPTY
        if is_emptied and _JAVABUILDER in self._action.command.arguments:
            return ()
        return self._action.command.environment


def _unknown_protocol(protocols: Protocols, given: str) -> str:
    if protocols.accepted == ("proto",):
        return f"{protocols.name} is {given!r}; this personality speaks only proto with workers"
    return f"{protocols.name} is {given!r}; known are {' and '.join(protocols.accepted)}"


def _refuse_unknown(properties: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse a property that was not declared, as Buildbarn and BuildGrid do (bazel#29267)."""
    unknown = sorted(set(properties).difference(known)) if known else []
    if unknown:
        raise failed_precondition(
            f"unregistered platform property {unknown[0]!r}; known are {', '.join(known)}. "
            "Have the client leave it out, or declare it with --known-property"
        )


def _refuse_forbidden(image: str, config: Config) -> None:
    if image and not config.allow_docker:
        raise failed_precondition(
            f"container-image {image!r}: containers are off; start the server with --allow-docker"
        )
    if not image and not config.allow_local:
        raise failed_precondition(
            "local execution is off (--no-allow-local) and the action names no container-image"
        )

from __future__ import annotations

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.routing import Route, route
from rpw_fixture.support.globs import matcher
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.key import WorkerKey, differences
from rpw_fixture.workers.personalities.reference import REFERENCE

KEY = {"persistentWorkerKey": "k"}
DOCKER = Config(allow_docker=True)


@pytest.fixture
def routed(inputs):
    """Routes an action that meets every condition, but for what a test changes."""

    def decide(
        *,
        config: Config | None = None,
        tree: dict | None = None,
        instance_name: str = "",
        **action: object,
    ) -> Route:
        config = config or Config()
        default = {"tools": {"t": inputs.File(content=b"t", is_tool=True)}, "args": b"-x\n"}
        message = inputs.action(
            default if tree is None else tree,
            **{"arguments": ("tools/t", "@args"), "properties": KEY, **action},
        )
        resolved = inputs.resolved(message, config, instance_name)
        return route(resolved, config, InputIndex(matcher(config.tool_inputs)), REFERENCE)

    return decide


def key_of(found: Route) -> WorkerKey:
    assert found.mode == "worker", found.reason
    assert found.key is not None
    return found.key


# --- to a worker or not ---


def test_an_action_that_meets_every_condition_goes_to_a_worker(routed) -> None:
    found = routed()

    assert found.mode == "worker"
    assert found.flagfiles == ("@args",)
    assert found.reason == "persistentWorkerKey, 1 tool input and a flagfile are there"


@pytest.mark.parametrize(
    ("changes", "term"),
    [
        ({"properties": {}}, "persistentWorkerKey"),
        ({"properties": {"persistentWorkerKey": ""}}, "persistentWorkerKey"),
        ({"properties": {"persistentworkerkey": "k"}}, "persistentWorkerKey"),
        ({"tree": {"tools": {"t": b"t"}, "args": b""}}, "tool input"),
        ({"tree": {}}, "tool input"),
        ({"arguments": ("tools/t", "--x")}, "flagfile"),
        ({"arguments": ("tools/t", "@")}, "flagfile"),
        (
            {"properties": {**KEY, "container-image": "docker://x"}, "config": DOCKER},
            "dockerReuse",
        ),
        (
            {
                "properties": {**KEY, "container-image": "docker://x", "dockerReuse": "true"},
                "config": DOCKER,
            },
            "dockerReuse",
        ),
    ],
)
def test_the_first_condition_that_fails_is_named_by_its_own_term(
    changes: dict, term: str, routed
) -> None:
    found = routed(**changes)

    assert found.mode == "one-shot"
    assert term in found.reason
    assert found.key is None
    terms = {"persistentWorkerKey", "tool input", "flagfile", "dockerReuse"}
    assert sum(each in found.reason for each in terms) == 1


def test_tool_input_globs_stand_in_for_marks(routed) -> None:
    tree = {"tools": {"t": b"t"}, "args": b""}
    found = routed(tree=tree, config=Config(tool_inputs=("tools/**",)))

    assert [each.path for each in key_of(found).tool_inputs.files] == ["tools/t"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("tools/t", "--a", "@args"),
        ("@args", "tools/t"),
        ("tools/t", "-flagfile=args", "--b"),
        ("tools/t", "--flagfile=args"),
        ("tools/t", "@@args"),
    ],
)
def test_a_flagfile_may_stand_anywhere(arguments: tuple[str, ...], routed) -> None:
    found = routed(arguments=arguments)
    flagfiles = [each for each in arguments if "args" in each]

    assert list(found.flagfiles) == flagfiles
    assert key_of(found).startup_arguments == (
        *(each for each in arguments if each not in flagfiles),
        "--persistent_worker",
    )


def test_a_container_that_may_be_reused_gets_a_worker(routed) -> None:
    properties = {**KEY, "container-image": "docker://x", "dockerReuse": "True"}
    found = routed(properties=properties, config=DOCKER)

    assert key_of(found).container == (("container-image", "docker://x"),)


def test_docker_reuse_without_an_image_means_nothing(routed) -> None:
    assert routed(properties={**KEY, "dockerReuse": "False"}).mode == "worker"


def test_properties_of_the_command_count_when_the_action_has_none(routed, inputs) -> None:
    found = routed(
        properties={}, platform={"properties": [{"name": n, "value": v} for n, v in KEY.items()]}
    )

    assert found.mode == "worker"


# --- what is forbidden ---


@pytest.mark.parametrize("properties", [{}, KEY, {**KEY, "dockerReuse": "True"}])
def test_a_container_is_refused_where_containers_are_off(properties: dict, routed) -> None:
    with pytest.raises(RequestError, match="--allow-docker") as caught:
        routed(properties={**properties, "container-image": "docker://x"})

    assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize("properties", [{}, KEY])
def test_a_local_action_is_refused_where_those_are_off(properties: dict, routed) -> None:
    with pytest.raises(RequestError, match="allow-local") as caught:
        routed(properties=properties, config=Config(allow_local=False))

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert not caught.value.missing


def test_a_container_runs_where_local_actions_are_off(routed) -> None:
    config = Config(allow_local=False, allow_docker=True)
    properties = {**KEY, "container-image": "docker://x", "dockerReuse": "True"}

    assert routed(properties=properties, config=config).mode == "worker"


@pytest.mark.parametrize("protocol", ["xml", "JSON", "protobuf", " json"])
def test_a_protocol_that_does_not_exist_is_refused(protocol: str, routed) -> None:
    with pytest.raises(RequestError, match="persistentWorkerProtocol") as caught:
        routed(properties={**KEY, "persistentWorkerProtocol": protocol})

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_protocol_means_nothing_to_an_action_without_a_key(routed) -> None:
    assert routed(properties={"persistentWorkerProtocol": "xml"}).mode == "one-shot"


# --- the key ---


@pytest.mark.parametrize(
    ("properties", "default", "expected"),
    [
        ({}, "proto", "proto"),
        ({}, "json", "json"),
        ({"persistentWorkerProtocol": "json"}, "proto", "json"),
        ({"persistentWorkerProtocol": "proto"}, "json", "proto"),
        ({"persistentWorkerProtocol": ""}, "json", "json"),
    ],
)
def test_the_protocol_is_the_actions_or_the_default(
    properties: dict, default: str, expected: str, routed
) -> None:
    config = Config(default_protocol=default)

    assert key_of(routed(properties={**KEY, **properties}, config=config)).protocol == expected


def test_abilities_are_asked_for_by_a_one(routed) -> None:
    properties = {
        **KEY,
        "persistentWorkerMultiplex": "1",
        "persistentWorkerSandbox": "true",
        "persistentWorkerCancellation": "1",
    }

    assert key_of(routed(properties=properties)).abilities == ("multiplex", "cancellation")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"properties": {"persistentWorkerKey": "l"}}, "persistentWorkerKey: 'k' → 'l'"),
        ({"properties": {**KEY, "cache-silo-key": "s"}}, "cache-silo-key: '' → 's'"),
        ({"properties": {**KEY, "persistentWorkerMultiplex": "1"}}, "ability 0: 'multiplex' added"),
        (
            {"properties": {**KEY, "persistentWorkerProtocol": "json"}},
            "protocol: 'proto' → 'json'",
        ),
        ({"instance_name": "ci"}, "instance name: '' → 'ci'"),
        ({"working_directory": "tools"}, "working directory: '' → 'tools'"),
        (
            {"arguments": ("tools/t", "-v", "@args")},
            "startup argument 1: '--persistent_worker' → '-v'",
        ),
        (
            {"environment_variables": [{"name": "A", "value": "1"}]},
            "environment: A added",
        ),
    ],
)
def test_what_makes_another_worker_is_reported(changes: dict, told: str, routed) -> None:
    before, after = key_of(routed()), key_of(routed(**changes))

    assert differences(before.components, after.components) == [told]


def test_a_changed_tool_input_makes_another_worker(routed, inputs) -> None:
    tool = inputs.File(content=b"T", is_tool=True)
    after = key_of(routed(tree={"tools": {"t": tool}, "args": b"-x\n"}))
    (line,) = differences(key_of(routed()).components, after.components)

    assert line.startswith("tool input tools/t: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": ("tools/t", "@other")},
        {"output_paths": ["out"]},
        {"properties": {**KEY, "cpu_count": "4"}},
    ],
)
def test_what_belongs_to_one_request_makes_no_other_worker(changes: dict, routed) -> None:
    assert key_of(routed(**changes)).digest == key_of(routed()).digest


def test_another_plain_input_makes_no_other_worker(routed, inputs) -> None:
    tool = inputs.File(content=b"t", is_tool=True)

    other = key_of(routed(tree={"tools": {"t": tool}, "src": {"a": b"1"}}))

    assert other.digest == key_of(routed()).digest


def test_each_container_property_makes_another_worker(routed) -> None:
    base = {**KEY, "container-image": "docker://x", "dockerReuse": "True"}
    keys = {
        key_of(routed(properties={**base, **more}, config=DOCKER)).digest
        for more in (
            {},
            {"container-image": "docker://y"},
            {"dockerNetwork": "off"},
            {"dockerAddCapabilities": "SYS_PTRACE"},
            {"dockerDropCapabilities": "NET_RAW"},
        )
    }

    assert len(keys) == 5


def test_a_route_is_a_value(routed) -> None:
    found = routed()

    assert found == found._replace()

from __future__ import annotations

import dataclasses

import pytest

from rpw_fixture.config import ENVIRONMENT_PREFIX, Config, default_jobs, flags, from_environment
from rpw_fixture.errors import ConfigError

# The flags that people script against.
SCRIPTED = frozenset(
    [
        "listen",
        "port-file",
        "jobs",
        "max-workers-per-key",
        "max-workers",
        "worker-idle-timeout",
        "worker-max-requests",
        "worker-max-rss",
        "default-protocol",
        "tool-input",
        "personality",
        "allow-local",
        "allow-docker",
        "container-runtime",
        "root",
        "events",
        "record",
        "digest-function",
        "strict",
        "tls-cert",
        "tls-key",
        "tls-client-ca",
        "auth-token-file",
        "allow-remote",
        "idle-timeout",
        "log-level",
    ]
)


def flag(name: str):
    return next(each for each in flags() if each.name == name)


def test_every_flag_that_people_script_against_is_there() -> None:
    assert {each.name for each in flags()} >= SCRIPTED


def test_flags_and_variables_are_told_apart_and_helped() -> None:
    known = flags()

    assert len({each.name for each in known}) == len(known)
    assert len({each.environment for each in known}) == len(known)
    assert all(each.help and each.environment.startswith(ENVIRONMENT_PREFIX) for each in known)
    assert flag("max-workers-per-key").environment == "RPW_FIXTURE_MAX_WORKERS_PER_KEY"


def test_the_defaults_are_valid_and_local() -> None:
    config = Config()

    assert config.listen == "127.0.0.1:0"
    assert (config.allow_local, config.allow_docker, config.allow_remote) == (True, False, False)
    assert config.jobs == default_jobs() >= 4
    assert config.replace() == config


def test_every_setting_explains_itself() -> None:
    assert all(each.metadata["help"] for each in dataclasses.fields(Config))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"jobs": -1}, "--jobs"),
        ({"worker_max_requests": -1}, "--worker-max-requests"),
        ({"worker_max_rss": -1}, "--worker-max-rss"),
        ({"worker_idle_timeout": -0.1}, "--worker-idle-timeout"),
        ({"idle_timeout": float("nan")}, "--idle-timeout"),
        ({"max_workers": 0}, "--max-workers"),
        ({"max_workers_per_key": 0}, "--max-workers-per-key"),
        ({"threads": 0}, "--threads"),
        ({"max_tree_depth": 0}, "--max-tree-depth"),
        ({"max_tree_depth": 201}, "--max-tree-depth"),
        ({"default_protocol": "xml"}, "--default-protocol"),
        ({"log_level": "loud"}, "--log-level"),
        ({"tls_cert": "c.pem"}, "--tls-cert"),
        ({"tls_key": "k.pem"}, "--tls-cert"),
        ({"tls_client_ca": "ca.pem"}, "--tls-client-ca"),
        ({"no_such_thing": 1}, "no_such_thing"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_flag(
    changes: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        Config().replace(**changes)


def test_one_glob_or_function_alone_is_not_taken_for_a_sequence_of_letters() -> None:
    config = Config(tool_inputs="tools/**", digest_functions="SHA1")

    assert config.tool_inputs == ("tools/**",)
    assert config.digest_functions == ("SHA1",)
    assert Config(tool_inputs=["a", "b"]).tool_inputs == ("a", "b")


def test_settings_come_from_the_environment_and_only_ours_do() -> None:
    given = from_environment(
        {
            "RPW_FIXTURE_JOBS": "3",
            "RPW_FIXTURE_ALLOW_LOCAL": "0",
            "RPW_FIXTURE_STRICT": "TRUE",
            "RPW_FIXTURE_TOOL_INPUT": "tools/** *.jar",
            "RPW_FIXTURE_IDLE_TIMEOUT": "1.5",
            "RPW_FIXTURE_ROOT": "",
            "JOBS": "9",
        }
    )

    assert given == {
        "jobs": 3,
        "allow_local": False,
        "strict": True,
        "tool_inputs": ("tools/**", "*.jar"),
        "idle_timeout": 1.5,
    }
    assert Config(**given).jobs == 3


@pytest.mark.parametrize(
    ("variable", "text"),
    [("JOBS", "many"), ("STRICT", "maybe"), ("IDLE_TIMEOUT", "1s"), ("WORKER_MAX_RSS", "1G")],
)
def test_a_variable_that_can_not_be_read_is_named(variable: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"RPW_FIXTURE_{variable}='{text}'"):
        from_environment({f"RPW_FIXTURE_{variable}": text})


def test_a_config_can_not_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().jobs = 1


@pytest.mark.parametrize(
    "value",
    ["xml", "", "A=", "A=xml", "=json", ["json", "proto"], ["A=json", "A=proto"], ["auto="]],
)
def test_a_default_protocol_that_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="--default-protocol"):
        Config(default_protocol=value)  # type: ignore[arg-type]


def test_default_protocols_for_all_and_for_mnemonics() -> None:
    from rpw_fixture.wire.default_protocols import DefaultProtocols

    given = DefaultProtocols.parse(["proto", "A=json", "A=json", "B=auto", "C=d=json"])

    assert [given.of(each) for each in ("", "A", "B", "C=d", "D")] == [
        "proto",
        "json",
        "auto",
        "json",
        "proto",
    ]
    assert DefaultProtocols.parse([]).of("A") == "auto"


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_default_timeout_is_more_than_nothing(seconds: float) -> None:
    with pytest.raises(ConfigError, match="--default-timeout"):
        Config(default_timeout=seconds)

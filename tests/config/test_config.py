from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rpw_fixture.config import Config, default_jobs
from rpw_fixture.config.flags import ENVIRONMENT_PREFIX, flags, from_environment
from rpw_fixture.errors import ConfigError
from rpw_fixture.server import Server

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


def test_flags_and_variables_are_distinguished_and_helped() -> None:
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


NUMBERS = [each.name for each in dataclasses.fields(Config) if type(each.default) in (int, float)]
TIMES = [each.name for each in dataclasses.fields(Config) if type(each.default) is float]
CHOICES = [each.name for each in dataclasses.fields(Config) if each.metadata["values"].choices]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_workers": 0}, "--max-workers must be at least 1, not 0"),
        ({"max_workers_per_key": 0}, "--max-workers-per-key"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"max_tree_depth": 0}, "max_tree_depth"),
        ({"max_tree_depth": 201}, "max_tree_depth must be at most 200, not 201"),
        ({"max_timeout": 0.0}, "max_timeout must be at least 0.001"),
        ({"max_message_bytes": 1 << 31}, "max_message_bytes must be at most 2147483647"),
        ({"jobs": 1_000_000}, "--jobs must be at most 10000"),
        ({"jobs": 1.5}, "--jobs must be a whole number, not 1.5"),
        ({"jobs": True}, "--jobs must be a whole number, not True"),
        ({"jobs": "4"}, "--jobs must be a whole number, not '4'"),
        ({"idle_timeout": "1"}, "--idle-timeout must be a number, not '1'"),
        ({"strict": "no"}, "--strict must be True or False, not 'no'"),
        ({"strict": 1}, "--strict must be True or False, not 1"),
        ({"root": 3}, "--root must be a text, not 3"),
        ({"listen": None}, "--listen must be a text, not None"),
        ({"root": "a\0b"}, "--root must not contain a null character"),
        ({"tool_inputs": None}, "--tool-input must be a list of texts, not None"),
        ({"tool_inputs": ["a", 1]}, "--tool-input must be a list of texts, not 1"),
        ({"limits": ["nofile"]}, "--limit 'nofile': write NAME=N"),
        ({"committed_size": "wrie"}, "committed_size is 'wrie', .*; did you mean 'wire'"),
        ({"default_protocol": "xml"}, "--default-protocol"),
        ({"log_level": "loud"}, "--log-level"),
        ({"isolation": "landlok"}, "--isolation is 'landlok', .*; did you mean 'landlock'"),
        ({"tls_cert": "c.pem"}, "--tls-cert"),
        ({"tls_key": "k.pem"}, "--tls-cert"),
        ({"tls_client_ca": "ca.pem"}, "--tls-client-ca"),
        ({"high_api_version": "two"}, "high_api_version"),
        ({"max_wokers": 1}, "unknown setting 'max_wokers'; did you mean 'max_workers'"),
        ({"no_such_thing": 1}, "unknown setting 'no_such_thing'; docs/reference.md"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_flag(
    changes: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        Config().replace(**changes)


def test_a_server_takes_settings_as_keywords_only() -> None:
    with pytest.raises(ConfigError, match=r"\{'jobs': 2\} is no Config; pass settings as keywords"):
        Server({"jobs": 2})  # type: ignore[arg-type]  # what is tested


def test_an_unknown_name_is_not_answered_with_a_list_of_all() -> None:
    with pytest.raises(ConfigError) as caught:
        Config().replace(jbos=1)

    assert str(caught.value) == "unknown setting 'jbos'; did you mean 'jobs'?"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), float("-inf"), 1e300, 10**30])
def test_no_number_is_negative_without_end_or_absurd(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name.replace("_", "[_-]")):
        Config().replace(**{name: value})


@pytest.mark.parametrize("name", TIMES)
def test_a_time_may_be_a_whole_number_of_seconds(name: str) -> None:
    config = Config().replace(**{name: 7})

    assert getattr(config, name) == 7.0
    assert type(getattr(config, name)) is float


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_takes_no_other_text(name: str) -> None:
    with pytest.raises(ConfigError, match="not one of"):
        Config().replace(**{name: "something else"})


def test_a_path_may_be_a_path(tmp_path: Path) -> None:
    assert Config(root=tmp_path).root == str(tmp_path)
    assert Config(isolation_readable=[tmp_path]).isolation_readable == (str(tmp_path),)


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


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("JOBS", "-1", "RPW_FIXTURE_JOBS must be at least 0, not -1"),
        ("IDLE_TIMEOUT", "nan", "RPW_FIXTURE_IDLE_TIMEOUT must be at least 0, not nan"),
        ("ISOLATION", "landlok", "RPW_FIXTURE_ISOLATION is 'landlok', .*; did you mean 'landlock'"),
        (
            "JBOS",
            "3",
            "unknown environment variable RPW_FIXTURE_JBOS; did you mean 'RPW_FIXTURE_JOBS'",
        ),
        ("COMMITTED_SIZE", "wire", "'committed_size' has no environment variable"),
    ],
)
def test_a_variable_that_is_wrong_is_refused_by_its_own_name(
    variable: str, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        from_environment({f"RPW_FIXTURE_{variable}": text})


def test_a_variable_of_another_program_is_left_alone() -> None:
    assert (
        from_environment({"RPW_FIXTURE_NIGHTLY_RUN": "1", "RPW_FIXTURE_ENDPOINT": "grpc://x"}) == {}
    )


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
        None,
        "json",
        "proto",
    ]
    assert DefaultProtocols.parse([]).of("A") is None


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_default_timeout_is_more_than_nothing(seconds: float) -> None:
    with pytest.raises(ConfigError, match="--default-timeout"):
        Config(default_timeout=seconds)


REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_has_each_setting_with_its_flag_and_its_default() -> None:
    by_field = {each.field: f"`--{each.name}`" for each in flags()}
    rows = [
        (f"`{each.name}`", by_field.get(each.name, ""), f"`{each.default!r}`")
        for each in dataclasses.fields(Config)
    ]
    lines = REFERENCE.read_text().partition("## Settings")[2].partition("\n## ")[0].splitlines()
    table = [line.split(" | ") for line in lines if line.startswith("| `")]
    found = [(row[0].removeprefix("| "), row[1].strip(), row[2]) for row in table]
    assert found == rows

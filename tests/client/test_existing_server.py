"""Options that describe a server that runs already."""

from __future__ import annotations

import pytest

from rpw_fixture.client.existing_server import (
    OPTIONS,
    ExistingServer,
    from_options,
    headers,
    properties,
)
from rpw_fixture.errors import ConfigError

NAMES = {each.field: each.bazel_name for each in OPTIONS}


def test_options_that_were_not_given_keep_their_defaults() -> None:
    plain = ExistingServer(endpoint="grpc://127.0.0.1:1")
    nothing = dict.fromkeys(NAMES)
    assert from_options("grpc://127.0.0.1:1", nothing, NAMES) == plain
    assert from_options("grpc://127.0.0.1:1", {**nothing, "headers": []}, NAMES) == plain
    server = from_options(
        "grpc://127.0.0.1:1",
        {"instance_name": "main", "headers": ["A=1", "b=x=y"]},
        NAMES,
        platform={"OS": "linux"},
    )
    assert server.instance_name == "main"
    assert dict(server.headers) == {"a": "1", "b": "x=y"}
    assert server.platform == {"OS": "linux"}
    assert server.client_options["headers"] == {"a": "1", "b": "x=y"}
    assert server.client_options["instance_name"] == "main"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secret", "--remote-header: write NAME=VALUE"),
        ("=secret", "--remote-header: write NAME=VALUE"),
        ("a b=secret", "a b=…: no name of a text header"),
        ("key-bin=secret", "key-bin=…: no name of a text header"),
        ("KEY-BIN=secret", "KEY-BIN=…: no name of a text header"),
        ("a=secret\n", "a=…: the value holds more than printable ASCII"),
        ("a=sécret", "a=…: the value holds more than printable ASCII"),
    ],
)
def test_a_header_that_is_none_is_refused_without_its_value(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        headers([text], "--remote-header")
    assert "cret" not in str(refused.value)


def test_properties_keep_their_case_and_may_be_empty() -> None:
    assert properties(["Pool=a=b", "Empty="], "--p") == {"Pool": "a=b", "Empty": ""}
    with pytest.raises(ConfigError, match="--p 'Pool': write NAME=VALUE"):
        properties(["Pool"], "--p")
    with pytest.raises(ConfigError, match="--p '=b': write NAME=VALUE"):
        properties(["=b"], "--p")

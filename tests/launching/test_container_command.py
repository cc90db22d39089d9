"""What platform properties mean to a container's command line."""

from __future__ import annotations

import csv

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.launching.container_command import (
    ContainerSpec,
    container_properties,
    run_arguments,
    spec_of,
)
from rpw_fixture.launching.launch import Launch


def arguments(
    spec: ContainerSpec | None = None, root: str = "/work/root", **launch: object
) -> list[str]:
    settings = {"argv": ("tool", "--flag"), "environment": {}, **launch}
    return run_arguments(
        spec or ContainerSpec(image="image:1"),
        Launch(root=root, **settings),
        name="rpw_fixture-1",
        server="host.1-2-3-1",
        user=("--user=5:6",),
        limits={"RLIMIT_NOFILE": (64, 128)},
        more=("--runtime=crun",),
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("docker://registry.example:5000/tool:1", "registry.example:5000/tool:1"),
        ("tool@sha256:0123", "tool@sha256:0123"),
        ("localhost/tool", "localhost/tool"),
    ],
)
def test_an_image_is_named_with_or_without_a_scheme(said: str, meant: str) -> None:
    assert spec_of({"container-image": said}).image == meant


@pytest.mark.parametrize("image", ["--privileged", "docker://-v=/:/host", "two words", "docker://"])
def test_an_image_that_would_be_read_as_something_else_is_refused(image: str) -> None:
    with pytest.raises(RequestError, match="container-image") as caught:
        spec_of({"container-image": image})
    assert caught.value.code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("said", "meant"),
    [(None, "none"), ("off", "none"), ("standard", "bridge"), ("Host", "host"), ("none", "none")],
)
def test_there_is_no_network_unless_one_is_asked_for(said: str | None, meant: str) -> None:
    properties = {"container-image": "tool"} | ({"dockerNetwork": said} if said else {})
    assert spec_of(properties).network == meant


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(RequestError, match="container:other"):
        spec_of({"container-image": "tool", "dockerNetwork": "container:other"})


def test_capabilities_are_lists_in_either_spelling() -> None:
    spec = spec_of(
        {
            "container-image": "tool",
            "dockerAddCapabilities": "SYS_PTRACE, cap_sys_nice",
            "dockerDropCapabilities": "ALL,",
        }
    )
    assert spec.add_capabilities == ("SYS_PTRACE", "SYS_NICE")
    assert spec.drop_capabilities == ("ALL",)
    assert {"--cap-add=SYS_PTRACE", "--cap-add=SYS_NICE", "--cap-drop=ALL"} <= set(arguments(spec))


def test_what_is_no_capability_is_refused() -> None:
    with pytest.raises(RequestError, match="dockerAddCapabilities"):
        spec_of({"container-image": "tool", "dockerAddCapabilities": "--privileged"})


def test_the_program_is_the_entry_point_and_comes_with_its_own_arguments_only() -> None:
    given = arguments(argv=("tools/run", "--user=0:0", "last"))
    assert given[-4:] == ["--entrypoint=tools/run", "image:1", "--user=0:0", "last"]


def test_variables_limits_user_and_further_options_come_before_the_image() -> None:
    given = arguments(environment={"A": "1\n2", "B": ""}, working_directory="sub/folder")
    options = given[: given.index("image:1")]
    assert {
        "--env=A=1\n2",
        "--env=B=",
        "--ulimit=nofile=64:128",
        "--user=5:6",
        "--runtime=crun",
        "--workdir=/rpw_fixture/root/sub/folder",
        "--network=none",
    } <= set(options)


@pytest.mark.parametrize("root", ["/plain", "/with,comma", '/with"quote', "/with space"])
def test_the_exec_root_is_mounted_whatever_its_path(root: str) -> None:
    (mount,) = [each for each in arguments(root=root) if each.startswith("--mount=")]
    (fields,) = csv.reader([mount.removeprefix("--mount=")])
    assert fields == ["type=bind", f"source={root}", "target=/rpw_fixture/root"]


def test_only_properties_of_containers_that_say_something_count() -> None:
    properties = {"container-image": "tool", "dockerNetwork": "", "OSFamily": "linux"}
    assert container_properties(properties) == (("container-image", "tool"),)

"""The command lines of a docker-compatible program, and the platform properties that change them.

Pure: nothing is run here. Only options that Docker and Podman have in common are used.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rpw_fixture.errors import invalid_argument
from rpw_fixture.launching.launch import Launch

_PROPERTIES = (
    "container-image",
    "dockerNetwork",
    "dockerAddCapabilities",
    "dockerDropCapabilities",
)
#: The label on every container that this program starts; its value names the server.
LABEL = "rpw_fixture.server"
#: Where the exec root is mounted, in every container.
ROOT = "/rpw_fixture/root"

#: Values of ``dockerNetwork``, and their names on the command line.
_NETWORKS = {
    "": "none",
    "off": "none",
    "none": "none",
    "standard": "bridge",
    "bridge": "bridge",
    "host": "host",
}
_CAPABILITY = re.compile(r"[A-Z][A-Z_]*")
_IMAGE = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9._:/@+]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """The container that an action asks for.

    Attributes:
        image: the image's name, without ``docker://``.
        network: value for the command line; ``none`` unless the action asks for a network.
        add_capabilities, drop_capabilities: names without ``CAP_``.
    """

    image: str
    network: str = "none"
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()


def container_properties(properties: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the platform properties that concern containers and are not empty."""
    return tuple((name, properties[name]) for name in _PROPERTIES if properties.get(name))


def spec_of(properties: Mapping[str, str]) -> ContainerSpec:
    """Return the container that platform properties ask for.

    Raises:
        RequestError: INVALID_ARGUMENT for an invalid value.
    """
    image = properties["container-image"].removeprefix("docker://")
    if not _IMAGE.fullmatch(image):
        raise invalid_argument(
            f"container-image {properties['container-image']!r} is not the name of an image"
        )
    network = properties.get("dockerNetwork", "")
    if network.lower() not in _NETWORKS:
        known = ", ".join(filter(None, _NETWORKS))
        raise invalid_argument(f"dockerNetwork is {network!r}, but must be one of {known}")
    return ContainerSpec(
        image=image,
        network=_NETWORKS[network.lower()],
        add_capabilities=_capabilities(properties, "dockerAddCapabilities"),
        drop_capabilities=_capabilities(properties, "dockerDropCapabilities"),
    )


def run_arguments(
    spec: ContainerSpec,
    command: Launch,
    *,
    name: str,
    server: str,
    user: Sequence[str],
    limits: Mapping[str, tuple[int, int]],
    more: Sequence[str] = (),
) -> list[str]:
    """Return the arguments that run ``command`` in a container that ends with the client program.

    Args:
        spec: the container that the action asks for.
        command: the command to run.
        name: name of the container.
        server: value of the label.
        user: options that make outputs belong to the server's user.
        limits: resource limits, as for `launch.Local`.
        more: further options.
    """
    folder = posixpath.join(ROOT, command.working_directory) if command.working_directory else ROOT
    return [
        "run",
        "--rm",
        "--interactive",
        "--detach-keys=",  # Podman looks for them in any stream, and a request may hold those bytes
        "--log-driver=none",  # the copy is never read, and a worker may write much
        "--pull=never",  # done before, where a failure gets an error message that names it
        "--stop-timeout=0",
        f"--name={name}",
        f"--label={LABEL}={server}",
        "--hostname=localhost",
        f"--network={spec.network}",
        f"--mount=type=bind,{_field('source', command.root)},target={ROOT}",
        f"--workdir={folder}",
        *user,
        *(f"--cap-add={each}" for each in spec.add_capabilities),
        *(f"--cap-drop={each}" for each in spec.drop_capabilities),
        *(f"--ulimit={each[7:].lower()}={s}:{h}" for each, (s, h) in limits.items()),
        *(f"--env={each}={value}" for each, value in command.environment.items()),
        *more,
        f"--entrypoint={command.argv[0]}",
        spec.image,
        *command.argv[1:],
    ]


def _field(name: str, value: str) -> str:
    """Return a field of ``--mount``, which is one record of CSV."""
    text = f"{name}={value}"
    return '"' + text.replace('"', '""') + '"' if set(text) & {",", '"'} else text


def _capabilities(properties: Mapping[str, str], name: str) -> tuple[str, ...]:
    names = [
        each.strip().upper().removeprefix("CAP_")
        for each in properties.get(name, "").split(",")
        if each.strip()
    ]
    for each in names:
        if not _CAPABILITY.fullmatch(each):
            raise invalid_argument(f"{name} has {each!r}, which is not the name of a capability")
    return tuple(names)

"""The pytest plugin: fixtures, marker, options and report hooks, and nothing that decides.

Importing it costs next to nothing: gRPC, protobuf and psutil are loaded when the first server starts.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import pytest

from rpw_fixture._version import __version__
from rpw_fixture.config import Config
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.plugin import options, reporting
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace
from rpw_fixture.plugin.session_servers import SessionServers, make_server

if TYPE_CHECKING:
    from rpw_fixture.server import Server
    from rpw_fixture.testing.endpoint import Endpoint

E = TypeVar("E", bound="Endpoint")
_SERVERS = pytest.StashKey[SessionServers]()
_USED = pytest.StashKey["list[Endpoint]"]()
_WORKSPACE = pytest.StashKey[BazelWorkspace]()
_SECTIONS = pytest.StashKey["list[reporting.Section]"]()


class MakeServer(Protocol):
    """What `make_rpw_server` gives."""

    def __call__(self, config: Config | None = None, **settings: Any) -> Server:
        """A new server, started; it is stopped when the test ends.

        Args:
            config: all settings; those of `rpw_config` and the marker when not given.
            settings: single settings on top.
        """


def close_servers(config: pytest.Config) -> None:
    """Stops the servers that are held for later tests; those start new ones."""
    config.stash[_SERVERS].close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds our options."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers and refuses settings that can't be used."""
    config.addinivalue_line("markers", options.MARKER_LINE)
    config.addinivalue_line("markers", options.CHECK_MARKER_LINE)
    options.config_of(config)
    servers = SessionServers(*options.endpoint_of(config))
    config.stash[_SERVERS] = servers
    config.add_cleanup(servers.close)
    if not _is_xdist_worker(config):  # they have nobody to tell
        config.pluginmanager.register(reporting.Summary(), "rpw_fixture_summary")


def pytest_report_header(config: pytest.Config) -> str | None:
    """One line, when something was set or ``-v`` asks for more."""
    endpoint = config.stash[_SERVERS].endpoint
    settings = options.settings_of(config)
    if not (endpoint or settings or config.get_verbosity() > 0):
        return None
    told = [f"endpoint={endpoint}"] if endpoint else []
    told += [f"{name}={value}" for name, value in settings.items()]
    return f"rpw-fixture {__version__}: {', '.join(told) or 'default settings'}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for it once for each personality."""
    if "rpw_every_personality" in metafunc.fixturenames:
        from rpw_fixture.workers import personalities  # noqa: PLC0415 - most test suites need none

        metafunc.parametrize("rpw_every_personality", personalities.names(), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuses markers that can't be used."""
    if not _is_xdist_worker(config):
        options.check_markers(items, options.config_of(config))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuses markers where xdist would lose an error of the collection."""
    if _is_xdist_worker(item.config):
        options.check_markers([item], options.config_of(item.config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Has what a test with the marker ``rpw_check`` ran checked, if the test passed so far."""
    result = yield
    marker = item.get_closest_marker("rpw_check")
    if marker is not None:
        server = getattr(item, "funcargs", {}).get("rpw_server")
        if server is None:
            pytest.fail("the marker rpw_check needs a test that uses rpw_server", pytrace=False)
        server.assert_hermetic(**marker.kwargs)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the timeline and the workers' stderr to the report of a test that failed."""
    report = yield
    if report.failed:
        used = item.stash.get(_USED, [])
        # What was put aside is those of a server that is reset or stopped by now.
        put_aside = item.stash.get(_SECTIONS, None)
        report.sections += put_aside or reporting.sections_of(used)
        report.sections += reporting.bazel_sections(item.stash.get(_WORKSPACE, None))
        setattr(report, reporting.FAILURES, reporting.failures_of(used))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explains why two outcomes or outputs are not equal."""
    return reporting.compared(op, left, right)


@pytest.fixture(scope="session")
def rpw_config(pytestconfig: pytest.Config) -> Config:
    """The settings of servers: override it for a package, module or class."""
    return options.config_of(pytestconfig)


@pytest.fixture
def rpw_server(
    request: pytest.FixtureRequest, rpw_config: Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """A server with persistent workers in its initial state."""
    found = tmp_path_factory.getbasetemp() / "rpw-reproducers"
    servers = request.config.stash[_SERVERS]
    settings = options.marked_settings(request.node)
    if servers.endpoint:
        _skip_if_set(settings)
        with _used(request.node, servers.cluster()) as cluster:
            cluster.reproducers = found / _file_name(request.node)
            yield cluster
        return
    config = options.configured(rpw_config, settings, request.node.nodeid)
    with servers.lend(config) as server, _used(request.node, server):
        server.reproducers = found / _file_name(request.node)
        yield server


@pytest.fixture
def rpw_every_personality(request: pytest.FixtureRequest, rpw_config: Config) -> Iterator[Server]:
    """A server of each personality in turn: a worker that passes copes with all known servers."""
    servers = request.config.stash[_SERVERS]
    if servers.endpoint:
        pytest.skip("needs servers of all personalities, and --rpw-endpoint is one of its own")
    settings = {**options.marked_settings(request.node), "personality": request.param}
    config = options.configured(rpw_config, settings, request.node.nodeid)
    with servers.lend(config) as server, _used(request.node, server):
        yield server


@pytest.fixture
def make_rpw_server(request: pytest.FixtureRequest, rpw_config: Config) -> Iterator[MakeServer]:
    """Makes servers, with settings of their own, that are stopped when the test ends."""
    servers = request.config.stash[_SERVERS]
    marked = options.marked_settings(request.node)

    with ExitStack() as stack:

        def make(config: Config | None = None, **settings: Any) -> Server:
            if servers.endpoint:
                _skip_if_set({**marked, **settings})
                cluster = stack.enter_context(servers.make_cluster())
                stack.enter_context(_used(request.node, cluster))
                return cast("Server", cluster)  # all that tests do with a Server, it can do
            if config is None:
                config = options.configured(rpw_config, marked, request.node.nodeid)
            server = make_server(config.replace(**settings))
            stack.callback(server.stop)
            return stack.enter_context(_used(request.node, server))

        yield make


@pytest.fixture
def rpw_bazel(request: pytest.FixtureRequest, rpw_server: Endpoint) -> Iterator[BazelWorkspace]:
    """An empty workspace with a real Bazel, whose actions run on `rpw_server`; skips without one."""
    try:
        workspace = request.config.stash[_SERVERS].workspace(rpw_server.bazel_flags())
    except EnvironmentLacksError as error:
        pytest.skip(f"needs Bazel: {error}")
    request.node.stash[_WORKSPACE] = workspace
    yield workspace
    del request.node.stash[_WORKSPACE]


@contextmanager
def _used(item: pytest.Item, server: E) -> Iterator[E]:
    """Reports on ``server`` when the test fails, and fails the test when the server had a bug."""
    used = item.stash.setdefault(_USED, [])
    used.append(server)
    try:
        yield server
        server.assert_no_internal_error()
    except BaseException:
        item.stash[_SECTIONS] = reporting.sections_of(used)
        raise
    finally:
        used.remove(server)


def _file_name(item: pytest.Item) -> str:
    return re.sub(r"\W+", "_", item.name)


def _is_xdist_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _skip_if_set(settings: Mapping[str, Any]) -> None:
    if settings:
        pytest.skip(
            f"needs a server with {', '.join(sorted(settings))}, and --rpw-endpoint has its own settings"
        )

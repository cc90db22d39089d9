"""The fixtures: a clean server for every test, servers to make, settings to override."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[[str], None]


def test_every_test_gets_a_server_in_its_initial_state(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
@pytest.mark.parametrize("round", range(3))
def test_it(rpw_server, round):
    assert len(rpw_server.events) == len(rpw_server.actions) == len(rpw_server.workers) == 0
    outcome = rpw_server.run(COMPILE)
    assert not outcome.cached and not outcome.reused
    assert rpw_server.workers.alive().only().requests == 1
""")
    pytester.runpytest_inprocess().assert_outcomes(passed=3)


def test_the_server_is_started_once_and_reset_for_the_next_test(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
endpoints = set()

@pytest.mark.parametrize("round", range(3))
def test_default(rpw_server, round):
    endpoints.add(rpw_server.endpoint)

@pytest.mark.rpw(max_workers=1)
def test_other_settings(rpw_server):
    assert rpw_server.endpoint not in endpoints

def test_one_for_three():
    assert len(endpoints) == 1
""")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=5)


def test_workers_are_gone_when_the_next_test_begins(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
import psutil

seen = []

@pytest.mark.parametrize("round", range(2))
def test_it(rpw_server, round):
    assert not any(map(psutil.pid_exists, seen))
    rpw_server.run(COMPILE)
    seen.append(rpw_server.workers.only().pid)
    assert psutil.pid_exists(seen[-1])
""")
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_servers_can_be_made_with_other_settings(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
from rpw_fixture import Config, ConfigError
made = []

@pytest.mark.rpw(max_workers=2)
def test_make(make_rpw_server):
    one, two = make_rpw_server(), make_rpw_server(max_workers=3, jobs=1)
    three = make_rpw_server(Config(max_workers=7), jobs=1)
    made.extend([one, two, three])
    assert [each.config.max_workers for each in made] == [2, 3, 7]
    assert two.config.jobs == three.config.jobs == 1
    assert len({each.endpoint for each in made}) == 3
    assert one.run(COMPILE) == two.run(COMPILE)
    assert not two.run(OTHER).cached

def test_stopped():
    import socket
    for each in made:
        host, _, port = each.address.rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))

def test_unknown(make_rpw_server):
    with pytest.raises(ConfigError, match="max_wokers"):
        make_rpw_server(max_wokers=1)
""")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=3)


def test_settings_can_be_overridden_by_a_fixture(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
@pytest.fixture(scope="session")
def rpw_config(rpw_config):
    return rpw_config.replace(max_workers=9)

def test_it(rpw_server, make_rpw_server):
    assert rpw_server.config.max_workers == make_rpw_server().config.max_workers == 9

@pytest.mark.rpw(max_workers=8)
def test_marker_wins(rpw_server):
    assert rpw_server.config.max_workers == 8
""")
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_server_that_keeps_things_on_disk_is_not_emptied(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
@pytest.fixture(scope="session")
def rpw_config(rpw_config, tmp_path_factory):
    return rpw_config.replace(root=str(tmp_path_factory.mktemp("root")))

def test_first(rpw_server):
    assert not rpw_server.run(ECHO).cached

def test_second(rpw_server):
    assert rpw_server.run(ECHO).cached
""")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=2)


def test_an_internal_error_of_the_server_fails_the_test_that_met_it(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
from rpw_fixture.events.kinds import InternalError

def test_met(rpw_server):
    rpw_server.events.append(InternalError(where="somewhere", detail="KeyError: 'x'"))

def test_next(rpw_server):
    rpw_server.assert_no_internal_error()

def test_made(make_rpw_server):
    make_rpw_server().events.append(InternalError(where="elsewhere", detail="KeyError: 'y'"))
""")
    result = pytester.runpytest_inprocess("-p", "no:randomly")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_met*",
            "*The server had 1 internal error: a bug of rpw_fixture, not of the test.",
            "*In somewhere:",
            "*KeyError: 'x'",
            "*rpw timeline*",
            "*INTERNAL ERROR in somewhere: KeyError: 'x'",
            "*ERROR at teardown of test_made*",
            "*In elsewhere:",
        ]
    )


def test_the_same_assertions_work_in_unittest(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
import unittest
from rpw_fixture import Server

class ReuseTest(unittest.TestCase):
    def test_reuse(self):
        with Server(max_workers_per_key=1) as server:
            server.assert_worker_reused(server.run(COMPILE), server.run(OTHER))
            server.assert_one_shot(ECHO) if server.run(ECHO).ok else self.fail()
            with self.assertRaises(AssertionError):
                server.assert_worker_restarted(COMPILE, OTHER)
""")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)

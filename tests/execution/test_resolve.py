from __future__ import annotations

from collections.abc import Iterable

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import BlobMissingError, Code, RequestError
from rpw_fixture.execution.resolve import ResolvedAction, Resolver
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as reapi

TREE = {"src": {"a.txt": b"a", "deep": {"b.txt": b"b"}}, "tools": {"t": b"tool"}}


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(Config())


def resolve(resolver: Resolver, inputs, action: reapi.Action) -> ResolvedAction:
    digest = SHA256.of(action.SerializeToString())
    return resolver.resolve(digest, action, inputs.store, "instance")


def missing(resolver: Resolver, inputs, action: reapi.Action) -> set[str]:
    with pytest.raises(BlobMissingError) as caught:
        resolve(resolver, inputs, action)
    assert len(set(caught.value.missing)) == len(caught.value.missing)
    return set(caught.value.missing)


def refused(resolver: Resolver, inputs, action: reapi.Action) -> RequestError:
    with pytest.raises(RequestError) as caught:
        resolve(resolver, inputs, action)
    return caught.value


def subjects(digests: Iterable[Digest]) -> set[str]:
    return {f"blobs/{digest.hash}/{digest.size}" for digest in digests}


def below(inputs, tree: dict) -> list[Digest]:
    """Digests of a tree's root and everything below."""
    digests = [inputs.put(tree)]
    for node in tree.values():
        digests += below(inputs, node) if isinstance(node, dict) else [SHA256.of(node)]
    return digests


def command_of(action: reapi.Action) -> Digest:
    return SHA256.validate(action.command_digest)


def drop(cas: Cas, *digests: Digest) -> None:
    assert cas.evict(lambda _function, digest: digest in digests) == len(set(digests))


# --- what an action is ---


def test_an_action_is_resolved_to_its_command_and_tree(resolver: Resolver, inputs) -> None:
    action = inputs.action(TREE, arguments=("tool", "@x"), working_directory="src")
    action.do_not_cache = True
    found = resolve(resolver, inputs, action)

    assert found.command.arguments == ("tool", "@x")
    assert found.command.working_directory == "src"
    assert [path for path, _ in found.root.walk()] == ["src/a.txt", "src/deep/b.txt", "tools/t"]
    assert found.store is inputs.store
    assert (found.instance_name, found.do_not_cache) == ("instance", True)


def test_the_actions_properties_come_before_the_commands(resolver: Resolver, inputs) -> None:
    platform = reapi.Platform(properties=[reapi.Platform.Property(name="a", value="command")])
    both = inputs.action(properties={"b": "action"}, platform=platform)
    only_command = inputs.action(platform=platform)

    assert resolve(resolver, inputs, both).properties == {"b": "action"}
    assert resolve(resolver, inputs, only_command).properties == {"a": "command"}


def test_equal_trees_of_two_actions_are_one_value(resolver: Resolver, inputs) -> None:
    one = resolve(resolver, inputs, inputs.action({**TREE, "x": b"1"}))
    other = resolve(resolver, inputs, inputs.action({**TREE, "x": b"2"}))

    assert one.root is not other.root
    assert one.root.folders["src"] is other.root.folders["src"]


def test_the_empty_tree_needs_no_upload(resolver: Resolver, inputs) -> None:
    assert resolve(resolver, inputs, inputs.action({})).root.count == 0


# --- the timeout ---


@pytest.mark.parametrize(
    ("seconds", "nanos", "expected"),
    [(5, 0, 5.0), (0, 250_000_000, 0.25), (86_400, 0, 86_400.0), (0, 0, 600.0)],
)
def test_a_timeout_is_taken_and_none_means_the_default(
    seconds: int, nanos: int, expected: float, resolver: Resolver, inputs
) -> None:
    action = inputs.action()
    assert resolve(resolver, inputs, action).timeout == 600.0
    action.timeout.seconds, action.timeout.nanos = seconds, nanos

    assert resolve(resolver, inputs, action).timeout == expected


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(-1, 0), (0, -1), (0, 2_000_000_000), (86_401, 0), (2**62, 0), (5, -1), (-1, 1)],
)
def test_an_impossible_timeout_is_refused(
    seconds: int, nanos: int, resolver: Resolver, inputs
) -> None:
    action = inputs.action()
    action.timeout.seconds, action.timeout.nanos = seconds, nanos

    assert refused(resolver, inputs, action).code is Code.INVALID_ARGUMENT


# --- missing blobs ---


def test_all_missing_blobs_are_named_at_once(resolver: Resolver, inputs, cas: Cas) -> None:
    action = inputs.action(TREE)
    deep = inputs.put(TREE["src"]["deep"])
    gone = [command_of(action), SHA256.of(b"a"), SHA256.of(b"tool"), deep]
    drop(cas, *gone)

    assert missing(resolver, inputs, action) == subjects(gone)


def test_a_missing_root_is_named_with_the_missing_command(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    action = inputs.action(TREE)
    cas.clear()

    assert missing(resolver, inputs, action) == subjects([command_of(action), inputs.put(TREE)])


def test_uploading_step_by_step_leads_to_the_whole_tree(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    action = inputs.action(TREE)
    everything = {*below(inputs, TREE), command_of(action)}
    contents = {digest: inputs.store.get(digest) for digest in everything}
    cas.clear()
    for _ in range(20):
        try:
            found = resolve(resolver, inputs, action)
            break
        except BlobMissingError as error:
            by_subject = {f"blobs/{each}": each for each in contents}
            inputs.store.put(contents[by_subject[error.missing[0]]])

    assert found.root.file_count == 3
    assert sorted(inputs.store.digests()) == sorted({*everything, SHA256.empty})


@pytest.mark.parametrize("blob", [b"a", b"b", b"tool"])
def test_a_blob_evicted_after_it_was_seen_is_named_again(
    blob: bytes, resolver: Resolver, inputs, cas: Cas
) -> None:
    action = inputs.action(TREE)
    resolve(resolver, inputs, action)
    drop(cas, SHA256.of(blob))
    assert missing(resolver, inputs, action) == subjects([SHA256.of(blob)])
    assert missing(resolver, inputs, action) == subjects([SHA256.of(blob)])
    inputs.store.put(blob)

    assert resolve(resolver, inputs, action).root.file_count == 3


def test_decoded_folders_and_commands_that_are_evicted_are_named_too(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    action = inputs.action(TREE)
    resolve(resolver, inputs, action)
    everything = {*below(inputs, TREE), command_of(action)}
    cas.clear()

    assert missing(resolver, inputs, action) == subjects(everything)


def test_a_folder_missing_in_two_places_leaves_no_hole_behind(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    shared = {"lib.txt": b"lib"}
    tree = {"a": {"shared": shared, "1": b"1"}, "b": {"shared": shared, "2": b"2"}}
    action = inputs.action(tree)
    drop(cas, inputs.put(shared))
    assert missing(resolver, inputs, action) == subjects([SHA256.of(inputs_bytes(inputs, shared))])
    inputs.put(shared)

    paths = [path for path, _ in resolve(resolver, inputs, action).root.walk()]
    assert paths == ["a/1", "a/shared/lib.txt", "b/2", "b/shared/lib.txt"]


def test_a_folder_missing_deep_in_two_places_leaves_no_hole_behind(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    inner = {"lib.txt": b"lib"}
    shared = {"deeper": {"inner": inner}}
    tree = {"a": shared, "b": {"again": shared}, "c": {"inner": inner}}
    action = inputs.action(tree)
    drop(cas, inputs.put(inner))
    missing(resolver, inputs, action)
    inputs.put(inner)

    assert resolve(resolver, inputs, action).root.file_count == 3


def test_a_file_missing_in_two_places_is_named_for_each_of_them_alone(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    one, other = {"x": {"gone": b"gone", "1": b"1"}}, {"y": {"gone": b"gone", "2": b"2"}}
    gone = SHA256.of(b"gone")
    both, only_one = inputs.action({**one, **other}), inputs.action(other)
    drop(cas, gone)
    assert missing(resolver, inputs, both) == subjects([gone])

    assert missing(resolver, inputs, only_one) == subjects([gone])


def test_a_blob_under_the_right_hash_but_another_size_is_missing(
    resolver: Resolver, inputs
) -> None:
    action = inputs.action(TREE)
    action.input_root_digest.size_bytes += 1

    assert len(missing(resolver, inputs, action)) == 1


def test_clearing_forgets_what_was_decoded(resolver: Resolver, inputs) -> None:
    action = inputs.action(TREE)
    before = resolve(resolver, inputs, action).root
    resolver.clear()

    assert resolve(resolver, inputs, action).root is not before


# --- hostile trees ---


def chain(inputs, depth: int, leaf: Digest) -> Digest:
    """Return the root of a tree of this depth, whose last folder is ``leaf``."""
    for _ in range(depth - 1):
        message = reapi.Directory()
        message.directories.add(name="d", digest=inputs.message_of(leaf))
        leaf = inputs.store.put(message.SerializeToString())
    return leaf


def rooted(inputs, digest: Digest) -> reapi.Action:
    action = inputs.action()
    action.input_root_digest.CopyFrom(inputs.message_of(digest))
    return action


def test_the_deepest_tree_is_accepted_and_one_deeper_is_refused(inputs) -> None:
    deepest = chain(inputs, 200, inputs.put({"f": b"x"}))
    assert resolve(Resolver(Config()), inputs, rooted(inputs, deepest)).root.depth == 200
    error = refused(Resolver(Config()), inputs, rooted(inputs, chain(inputs, 2, deepest)))

    assert error.code is Code.INVALID_ARGUMENT
    assert "200 folders deep" in error.message


def test_depth_counts_over_folders_that_are_known_already(resolver: Resolver, inputs) -> None:
    known = chain(inputs, 150, inputs.put({"f": b"x"}))
    resolve(resolver, inputs, rooted(inputs, known))

    assert refused(resolver, inputs, rooted(inputs, chain(inputs, 52, known))).code is (
        Code.INVALID_ARGUMENT
    )
    assert resolve(resolver, inputs, rooted(inputs, chain(inputs, 51, known))).root.depth == 200


def test_a_tree_of_10000_levels_is_refused_without_going_down(resolver: Resolver, inputs) -> None:
    root = chain(inputs, 10_000, inputs.put({}))

    assert "folders deep" in refused(resolver, inputs, rooted(inputs, root)).message


@pytest.mark.parametrize("leaf", [b"", b"gone"])
def test_a_tree_that_doubles_on_each_level_is_refused_by_its_count_soon(
    leaf: bytes, resolver: Resolver, inputs
) -> None:
    digest = SHA256.of(leaf)  # the empty folder is always there, the other one never
    for _ in range(100):
        message = reapi.Directory()
        message.directories.add(name="a", digest=inputs.message_of(digest))
        message.directories.add(name="b", digest=inputs.message_of(digest))
        digest = inputs.store.put(message.SerializeToString())

    assert refused(resolver, inputs, rooted(inputs, digest)).code is Code.RESOURCE_EXHAUSTED


def test_a_tree_that_doubles_and_lacks_a_file_is_searched_once(
    resolver: Resolver, inputs, cas: Cas
) -> None:
    digest = inputs.put({"gone": b"gone"})
    for _ in range(17):
        message = reapi.Directory()
        message.directories.add(name="a", digest=inputs.message_of(digest))
        message.directories.add(name="b", digest=inputs.message_of(digest))
        digest = inputs.store.put(message.SerializeToString())
    drop(cas, SHA256.of(b"gone"))

    assert missing(resolver, inputs, rooted(inputs, digest)) == subjects([SHA256.of(b"gone")])


def test_too_many_entries_are_refused_with_the_limit(inputs) -> None:
    action = inputs.action({"d": {str(number): b"" for number in range(10)}})
    error = refused(Resolver(Config(max_input_files=10)), inputs, action)

    assert error.code is Code.RESOURCE_EXHAUSTED
    assert "holds 11 entries" in error.message
    assert resolve(Resolver(Config(max_input_files=11)), inputs, action).root.count == 11


@pytest.mark.parametrize("name", ["..", "a/b", "/", ""])
def test_a_hostile_name_anywhere_in_the_tree_is_refused(
    name: str, resolver: Resolver, inputs
) -> None:
    error = refused(resolver, inputs, inputs.action({"fine": {"deep": {name: b"x"}}}))

    assert error.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("field", ["command_digest", "input_root_digest"])
def test_a_malformed_digest_is_named_by_its_field(field: str, resolver: Resolver, inputs) -> None:
    action = inputs.action(TREE)
    getattr(action, field).hash = "../../etc/passwd"
    error = refused(resolver, inputs, action)

    assert error.code is Code.INVALID_ARGUMENT
    assert field in error.message


@pytest.mark.parametrize("field", ["command_digest", "input_root_digest"])
def test_a_digest_that_names_something_else_is_refused(
    field: str, resolver: Resolver, inputs
) -> None:
    action = inputs.action(TREE)
    getattr(action, field).CopyFrom(inputs.message_of(inputs.store.put(b"\xff no message")))

    assert refused(resolver, inputs, action).code is Code.INVALID_ARGUMENT


# --- the Action itself ---


def test_an_action_is_read_from_the_store(resolver: Resolver, inputs) -> None:
    action = inputs.action(TREE)
    digest = inputs.store.put(action.SerializeToString())

    assert resolver.decode_action(digest, inputs.store) == action


def test_an_action_that_is_missing_or_none_is_refused(resolver: Resolver, inputs) -> None:
    with pytest.raises(BlobMissingError):
        resolver.decode_action(SHA256.of(b"nothing"), inputs.store)
    with pytest.raises(RequestError, match="is not an Action"):
        resolver.decode_action(inputs.store.put(b"\xff"), inputs.store)


def inputs_bytes(inputs, tree: dict) -> bytes:
    return inputs.directory(tree).SerializeToString(deterministic=True)


# --- strict, and without absolute symlinks ---


def test_a_working_directory_must_be_a_folder_for_strict_servers_only(inputs) -> None:
    for folder, is_there in (("src/deep", True), ("src/a.txt", False), ("absent", False)):
        action = inputs.action(TREE, working_directory=folder)
        assert resolve(Resolver(Config()), inputs, action).command.working_directory == folder
        if is_there:
            assert resolve(Resolver(Config(strict=True)), inputs, action).root
        else:
            error = refused(Resolver(Config(strict=True)), inputs, action)
            assert f"working directory '{folder}' is not a folder" in error.message


def test_strict_servers_want_each_message_in_its_canonical_form(inputs) -> None:
    strict, lenient = Resolver(Config(strict=True)), Resolver(Config())
    action = inputs.action(TREE)
    digest = inputs.store.put(action.SerializeToString())
    odd = inputs.store.put(action.SerializeToString() + b"\x9a\x06\x01x")
    assert strict.decode_action(digest, inputs.store) == action
    assert lenient.decode_action(odd, inputs.store).command_digest == action.command_digest
    with pytest.raises(RequestError, match="not canonical"):
        strict.decode_action(odd, inputs.store)
    unsorted = reapi.Directory()
    for name in ("b", "a"):
        unsorted.files.add(name=name, digest=inputs.message_of(inputs.store.put(b"x")))
    root = inputs.store.put(unsorted.SerializeToString())
    assert resolve(lenient, inputs, rooted(inputs, root)).root.count
    assert "not canonical" in refused(strict, inputs, rooted(inputs, root)).message
    action = inputs.action(TREE)
    command = inputs.store.get(command_of(action)) + b"\x9a\x06\x01x"
    action.command_digest.CopyFrom(inputs.message_of(inputs.store.put(command)))
    assert resolve(lenient, inputs, action).command
    assert "not canonical" in refused(strict, inputs, action).message


def test_absolute_symlinks_are_refused_where_links_must_be_relative(inputs) -> None:
    resolver = Resolver(Config(absolute_symlinks=False))
    assert resolve(resolver, inputs, inputs.action({"a": inputs.Link(target="b/c")})).root
    action = inputs.action({"in": {"a": inputs.Link(target="/etc")}})
    assert "symlink 'a' in Directory" in refused(resolver, inputs, action).message
    assert resolve(Resolver(Config()), inputs, action).root

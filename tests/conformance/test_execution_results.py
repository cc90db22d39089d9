"""What the result of an action holds: points 144 to 161."""

from __future__ import annotations

import os
import sys

import grpc
import pytest

from .executing import Link, own, re, sha256

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION.value[0]
EMPTY = sha256(b"")


def newest(response):
    """The response with all fields there are."""
    return own.ExecuteResponse.FromString(response.SerializeToString())


def run_command(executor, script, inputs=None, **fields):
    command = own.Command(arguments=["/bin/sh", "-c", script], **fields)
    return executor.run(executor.action(re.Command.FromString(command.SerializeToString()), inputs))


@pytest.mark.point(144)
def test_output_paths_take_what_is_there_and_the_older_fields_are_ignored(executor):
    response = run_command(
        executor,
        "echo f > file; mkdir folder; ln -s file link; echo o > old",
        output_paths=["file", "folder", "link"],
        output_files=["old"],
        output_directories=["file"],
    )
    result = response.result
    assert [each.path for each in result.output_files] == ["file"]
    assert [each.path for each in result.output_directories] == ["folder"]
    assert [each.path for each in result.output_symlinks] == ["link"]


@pytest.mark.point(145)
@pytest.mark.parametrize("code", [0, 3])
def test_outputs_that_do_not_exist_are_left_out(executor, code):
    response = executor.run_shell(
        f"echo made > made; exit {code}", files=["made", "not/made"], folders=["nowhere"]
    )
    assert response.status.code == 0
    assert response.result.exit_code == code
    assert executor.files(response) == {"made": b"made\n"}
    assert not response.result.output_directories


@pytest.mark.point(145)
def test_an_output_below_a_file_counts_as_absent(executor):
    response = executor.run_shell("rmdir a; echo x > a", files=["a/b"])
    assert response.status.code == 0
    assert not response.result.output_files


@pytest.mark.point(145)
def test_an_empty_folder_is_a_tree_with_an_empty_root(executor):
    response = executor.run_shell("mkdir empty", folders=["empty"])
    (folder,) = newest(response).result.output_directories
    assert executor.trees(response)["empty"] == re.Tree(root=re.Directory())
    assert folder.root_directory_digest.hash == EMPTY.hash


@pytest.mark.point(146)
@pytest.mark.parametrize(
    ("fields", "script"),
    [
        ({"output_files": ["out"]}, "mkdir out"),
        ({"output_directories": ["out"]}, "echo x > out"),
    ],
)
def test_an_output_of_another_type_than_declared_is_refused(executor, fields, script):
    response = run_command(executor, f"{script}; echo said", **fields)
    assert response.status.code == FAILED_PRECONDITION
    assert "'out'" in response.status.message
    assert not response.status.details
    assert executor.stdout(response) == b"said\n"


@pytest.mark.point(147)
def test_paths_come_back_exactly_as_they_were_asked_for(executor):
    script = "mkdir -p 'a b' d; echo 1 > 'a b/ü'; echo 2 > d/f"
    response = executor.run_shell(script, files=["a b/ü", "d/./f"], folders=["d"])
    assert set(executor.files(response)) == {"a b/ü", "d/./f"}
    assert set(executor.trees(response)) == {"d"}


@pytest.mark.point(147)
def test_the_empty_path_is_the_whole_working_directory(executor):
    response = run_command(
        executor, "echo x > new", {"sub/in": b"i"}, output_directories=[""], working_directory="sub"
    )
    (folder,) = response.result.output_directories
    assert folder.path == ""
    assert [file.name for file in executor.trees(response)[""].root.files] == ["in", "new"]


TREE_SCRIPT = """
mkdir -p out/b/same out/a/same out/c/deep/deeper
echo 1 > out/b/same/file; echo 1 > out/a/same/file; echo 2 > out/c/deep/deeper/x
echo z > out/z; echo a > out/A; ln -s ../z out/b/up; ln -s /abs out/abs; chmod +x out/z
"""


@pytest.mark.point(148)
@pytest.mark.point(155)
@pytest.mark.point(161)
def test_a_tree_holds_every_folder_in_canonical_form_and_all_its_files_are_stored(executor):
    response = executor.run_shell(TREE_SCRIPT, folders=["out"])
    tree = executor.trees(response)["out"]
    children = {sha256(child.SerializeToString()).hash: child for child in tree.children}
    assert [file.name for file in tree.root.files] == ["A", "z"]
    assert [file.is_executable for file in tree.root.files] == [False, True]
    assert [(link.name, link.target) for link in tree.root.symlinks] == [("abs", "/abs")]
    found, waiting = set(), [tree.root]
    while waiting:
        folder = waiting.pop()
        names = [node.name for node in folder.directories]
        assert names == sorted(names)
        digests = [file.digest for file in folder.files]
        assert executor.client.missing(*digests) == []
        for node in folder.directories:
            found.add(node.digest.hash)
            waiting.append(children[node.digest.hash])
    assert found == set(children)
    assert executor.client.missing(*(sha256(c.SerializeToString()) for c in tree.children)) == []


@pytest.mark.point(149)
def test_equal_folders_make_equal_trees_in_whatever_order_they_were_filled(executor):
    names = ["b", "a", "ü", "Z", "10", "9"]
    forwards = "; ".join(f"mkdir -p o/{name}; echo {name} > o/{name}/f" for name in names)
    backwards = "; ".join(f"mkdir -p o/{name}; echo {name} > o/{name}/f" for name in names[::-1])
    first, second = (executor.run_shell(each, folders=["o"]) for each in (forwards, backwards))
    (one,), (two,) = first.result.output_directories, second.result.output_directories
    assert one.tree_digest == two.tree_digest


@pytest.mark.point(150)
def test_a_tree_that_says_it_is_sorted_has_each_folder_once_and_parents_first(executor):
    response = executor.run_shell(TREE_SCRIPT, folders=["out"])
    (folder,) = newest(response).result.output_directories
    assert folder.is_topologically_sorted
    data = executor.read(response.result.output_directories[0].tree_digest)
    records = list(records_of(data))
    assert [tag for tag, _ in records] == [0x0A] + [0x12] * (len(records) - 1)
    contents = [record for _, record in records]
    assert len(set(contents)) == len(contents)
    position = {sha256(record).hash: index for index, record in enumerate(contents)}
    for index, record in enumerate(contents):
        for node in re.Directory.FromString(record).directories:
            assert position[node.digest.hash] > index


def records_of(data):
    """The tag and the bytes of each record of a message whose fields are all messages."""
    at = 0
    while at < len(data):
        tag, at, size, shift = data[at], at + 1, 0, 0
        while True:
            byte, at = data[at], at + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield tag, data[at : at + size]
        at += size


@pytest.mark.point(151)
@pytest.mark.point(152)
@pytest.mark.parametrize("wanted", [0, 1, 2, 77])
def test_tree_and_root_directory_are_given_whatever_was_asked_for(executor, wanted):
    response = run_command(
        executor,
        "mkdir -p out/sub; echo x > out/sub/f",
        output_directories=["out"],
        output_directory_format=wanted,
    )
    (folder,) = newest(response).result.output_directories
    tree = executor.trees(response)["out"]
    root = tree.root.SerializeToString()
    assert folder.root_directory_digest.hash == sha256(root).hash
    assert executor.read(sha256(root)) == root
    request = re.GetTreeRequest(root_digest=sha256(root))
    pages = executor.client.cas.GetTree(request)
    assert {d.SerializeToString() for page in pages for d in page.directories} == {
        root,
        *(child.SerializeToString() for child in tree.children),
    }


@pytest.mark.point(153)
def test_symlinks_among_output_paths_are_reported_and_not_followed(executor):
    response = run_command(
        executor,
        "echo x > file; mkdir dir; ln -s file to_file; ln -s dir to_dir; ln -s none dangling",
        output_paths=["to_file", "to_dir", "dangling"],
    )
    assert {(link.path, link.target) for link in response.result.output_symlinks} == {
        ("to_file", "file"),
        ("to_dir", "dir"),
        ("dangling", "none"),
    }
    assert not response.result.output_files
    assert not response.result.output_directories


@pytest.mark.point(154)
def test_clients_before_2_1_find_links_in_the_list_of_their_declared_type(executor):
    response = run_command(
        executor,
        "echo x > f; mkdir d; ln -s f lf; ln -s d ld; ln -s none gf; ln -s none gd; ln -s /usr abs",
        output_files=["lf", "gf"],
        output_directories=["ld", "gd", "abs"],
    )
    result = response.result
    assert {link.path for link in result.output_file_symlinks} == {"lf", "gf"}
    assert {link.path for link in result.output_directory_symlinks} == {"ld", "gd", "abs"}
    assert {link.path for link in result.output_symlinks} == {"lf", "gf", "ld", "gd", "abs"}


@pytest.mark.point(154)
@pytest.mark.parametrize(
    ("fields", "script"),
    [
        ({"output_files": ["link"]}, "mkdir d; ln -s d link"),
        ({"output_directories": ["link"]}, "echo > f; ln -s f link"),
    ],
)
def test_a_link_to_another_type_than_declared_is_refused(executor, fields, script):
    response = run_command(executor, script, **fields)
    assert response.status.code == FAILED_PRECONDITION
    assert "'link'" in response.status.message


@pytest.mark.point(156)
def test_the_executable_bit_is_the_owners_after_the_run(executor):
    script = "for f in a b c; do echo $f > $f; done; chmod 744 a; chmod 655 b; chmod 600 c"
    response = executor.run_shell(script, files=["a", "b", "c"])
    bits = {file.path: file.is_executable for file in response.result.output_files}
    assert bits == {"a": True, "b": False, "c": False}


@pytest.mark.point(157)
def test_without_being_asked_for_outputs_have_no_node_properties(executor):
    response = executor.run_shell("mkdir d; echo x > d/f; echo y > f", files=["f"], folders=["d"])
    (file,) = response.result.output_files
    tree = executor.trees(response)["d"]
    assert not file.HasField("node_properties")
    assert not tree.root.files[0].HasField("node_properties")
    assert not tree.root.HasField("node_properties")


@pytest.mark.point(157)
def test_time_and_mode_of_outputs_are_reported_when_asked_for(executor):
    script = "mkdir d; echo x > d/f; cp d/f f; touch -d @86400.5 f d/f; chmod 640 f d/f; ln -s f l"
    response = executor.run(
        executor.action(
            executor.command(
                "/bin/sh",
                "-c",
                script,
                files=["f", "l"],
                folders=["d"],
                output_node_properties=["mtime", "unix_mode"],
            )
        )
    )
    (file,) = response.result.output_files
    (inner,) = executor.trees(response)["d"].root.files
    for properties in (file.node_properties, inner.node_properties):
        assert properties.mtime.ToNanoseconds() == 86_400_500_000_000
        assert properties.unix_mode.value == 0o640
    (link,) = response.result.output_symlinks
    assert link.node_properties.mtime.seconds > 86_400


@pytest.mark.point(157)
def test_one_property_asked_for_is_the_only_one_reported(executor):
    command = executor.command(
        "/bin/sh", "-c", "echo > f", files=["f"], output_node_properties=["unix_mode"]
    )
    (file,) = executor.run(executor.action(command)).result.output_files
    assert file.node_properties.HasField("unix_mode")
    assert not file.node_properties.HasField("mtime")


@pytest.mark.point(158)
def test_special_files_in_a_folder_are_left_out(executor):
    response = executor.run_shell("mkdir d; mkfifo d/pipe; echo x > d/file", folders=["d"])
    assert [file.name for file in executor.trees(response)["d"].root.files] == ["file"]


@pytest.mark.point(158)
def test_a_special_file_as_output_is_refused(executor):
    response = executor.run_shell("mkfifo pipe", files=["pipe"])
    assert response.status.code == FAILED_PRECONDITION
    assert "'pipe'" in response.status.message


@pytest.mark.point(153)
@pytest.mark.point(122)
@pytest.mark.parametrize("path", ["link/passwd", "link", "link/"])
def test_an_output_behind_a_link_out_of_the_root_is_never_read(executor, path):
    response = executor.run_shell("rmdir link; ln -s /etc link", files=[path])
    assert not response.result.output_files
    assert not response.result.output_directories
    if path == "link/passwd":
        assert response.status.code == FAILED_PRECONDITION
        assert "'link/passwd'" in response.status.message


@pytest.mark.point(122)
def test_an_output_behind_a_link_among_the_inputs_is_never_read(executor):
    response = executor.run_shell(":", {"link": Link(target="/etc")}, files=["link/passwd"])
    assert response.status.code == FAILED_PRECONDITION
    assert not response.result.output_files


@pytest.mark.point(147)
@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
@pytest.mark.parametrize("made", ["b'd/\\xff'", "b'd/\\xff/f'"])
def test_an_output_whose_name_no_message_can_hold_is_refused(executor, made):
    code = f"import os; p = {made}; os.makedirs(os.path.dirname(p)); open(p, 'w').close()"
    command = executor.command(sys.executable, "-S", "-c", code, folders=["d"])
    response = executor.run(executor.action(command))
    assert response.status.code == FAILED_PRECONDITION
    assert "UTF-8" in response.status.message
    assert "xff" in response.status.message


@pytest.mark.point(155)
def test_a_link_whose_target_no_message_can_hold_is_refused(executor):
    code = "import os; os.mkdir('d'); os.symlink(b'\\xff', 'd/l')"
    command = executor.command(sys.executable, "-S", "-c", code, folders=["d"])
    response = executor.run(executor.action(command))
    assert response.status.code == FAILED_PRECONDITION
    assert "'l'" in response.status.message


@pytest.mark.point(147)
def test_an_output_listed_twice_is_answered_once(executor):
    response = run_command(executor, "echo x > f", output_paths=["f", "f"])
    assert [file.path for file in response.result.output_files] == ["f"]


@pytest.mark.point(161)
def test_all_that_a_result_names_is_stored_before_it_is_reported(executor):
    response = executor.run_shell(
        f"{TREE_SCRIPT} echo o; echo e >&2", files=["out/z"], folders=["out"]
    )
    result = response.result
    named = [result.stdout_digest, result.stderr_digest]
    named += [file.digest for file in result.output_files]
    named += [each.tree_digest for each in result.output_directories]
    assert len(named) >= 4 - (not result.output_files)
    assert executor.client.missing(*named) == []

"""Compile the `.proto` files of `rpw_fixture.wire.protos` and write its descriptor set and stubs.

Run it after a change of a `.proto` file; `--check` writes nothing and exits 1 naming stale files.
Needs grpcio-tools, whose bundled well-known types are the ones compiled in. What depends on the
compiler's version (JSON names, source locations, options for other languages) is left out of the
descriptor set, so that any grpcio-tools gives the same bytes.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.well_known_types import WKTBASES
from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout is enough

from rpw_fixture.wire.protos import DESCRIPTOR_SET, NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor import (
        Descriptor,
        EnumDescriptor,
        FieldDescriptor,
        FileDescriptor,
    )
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

NAMESPACE_OF_FILE: Final = {file: name for name, files in NAMESPACES.items() for file in files}

SCALARS: Final = {
    Field.CPPTYPE_BOOL: "bool",
    Field.CPPTYPE_DOUBLE: "float",
    Field.CPPTYPE_ENUM: "int",
    Field.CPPTYPE_FLOAT: "float",
    Field.CPPTYPE_INT32: "int",
    Field.CPPTYPE_INT64: "int",
    Field.CPPTYPE_UINT32: "int",
    Field.CPPTYPE_UINT64: "int",
}

# Where each name that a stub may use comes from, in the order of the import block.
IMPORTS: Final = {
    "Iterable": "collections.abc",
    "Mapping": "collections.abc",
    "Final": "typing",
    "Literal": "typing",
    "type_check_only": "typing",
    "well_known_types": "google.protobuf.internal",
    "MessageMap": "google.protobuf.internal.containers",
    "RepeatedCompositeFieldContainer": "google.protobuf.internal.containers",
    "RepeatedScalarFieldContainer": "google.protobuf.internal.containers",
    "ScalarMap": "google.protobuf.internal.containers",
    "EnumTypeWrapper": "google.protobuf.internal.enum_type_wrapper",
    "Message": "google.protobuf.message",
}

# Columns of a line, less the deepest indentation, so that breaking never depends on nesting.
LINE: Final = 88

HEADER: Final = (
    "# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.",
    "# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own",
)


def compile_descriptor_set(protos: Path) -> bytes:
    """Return the serialized FileDescriptorSet of every `.proto` file below a folder.

    Raises:
        SystemExit: The compiler refused; it said why on stderr.
    """
    sources = {path.relative_to(protos).as_posix() for path in protos.rglob("*.proto")}
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "descriptors.binpb")
        bundled = package_files("grpc_tools").joinpath("_proto")
        flags = ["--include_imports", f"--descriptor_set_out={output}", f"-I{protos}"]
        wanted = sorted(sources | NAMESPACE_OF_FILE.keys())
        if protoc.main(["protoc", *flags, f"-I{bundled}", *wanted]) != 0:
            raise SystemExit("protoc refused the .proto files, see above")
        descriptors = FileDescriptorSet.FromString(output.read_bytes())
    for file in descriptors.file:
        _strip_file(file)
    return descriptors.SerializeToString(deterministic=True)


def _strip_file(file: FileDescriptorProto) -> None:
    file.ClearField("options")
    file.ClearField("source_code_info")
    for message in file.message_type:
        _strip_message(message)


def _strip_message(message: DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        _strip_message(nested)


def render_stubs(descriptor_set: bytes) -> dict[str, str]:
    """Return the text of each namespace's stub by its file name."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptor_set).file:
        pool.AddSerializedFile(file.SerializeToString())
    return {
        f"{name}.pyi": _namespace(name, [pool.FindFileByName(file) for file in files])
        for name, files in NAMESPACES.items()
    }


def _namespace(name: str, contents: Sequence[FileDescriptor]) -> str:
    lines: list[str] = []
    for file in contents:
        for enum in file.enum_types_by_name.values():
            lines += ["", *_enum_class(enum), "", *_enum_members(enum)]
        for message in file.message_types_by_name.values():
            lines += ["", *_message(message)]
    used = set(re.findall(r"\w+", "\n".join(lines)))
    imported = {dependency.name for file in contents for dependency in file.dependencies}
    siblings = sorted({NAMESPACE_OF_FILE[file] for file in imported} & used - {name})
    return "\n".join([*HEADER, *_imports(used, siblings), *lines, ""])


def _imports(used: set[str], siblings: Sequence[str]) -> list[str]:
    """Render the import block: one section each for the standard library, protobuf and siblings."""
    modules: dict[str, list[str]] = {}
    for name, module in IMPORTS.items():
        if name in used:
            modules.setdefault(module, []).append(name)
    modules["rpw_fixture.wire.protos"] = list(siblings)
    sections: dict[str, list[str]] = {}
    for module, names in modules.items():
        if names:
            section = module.split(".")[0].replace("collections", "typing")
            sections.setdefault(section, []).extend(_import(module, names))
    return [line for section in sections.values() for line in ["", *section]]


def _import(module: str, names: Sequence[str]) -> list[str]:
    inline = f"from {module} import {', '.join(names)}"
    if len(inline) <= LINE:
        return [inline]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def _enum_class(enum: EnumDescriptor) -> list[str]:
    members = (f"    {value.name}: Final = {value.number}" for value in enum.values)
    return ["@type_check_only", f"class _{enum.name}(EnumTypeWrapper):", *members]


def _enum_members(enum: EnumDescriptor) -> list[str]:
    values = (f"{value.name}: Final = {value.number}" for value in enum.values)
    return [f"{enum.name}: Final[_{enum.name}]", *values]


def _message(message: Descriptor) -> list[str]:
    """Render a message class in the order: nested types, enums, constructor, fields, lookups."""
    base = f"well_known_types.{message.name}, " if message.full_name in WKTBASES else ""
    nested = [each for each in message.nested_types if not each.GetOptions().map_entry]
    parts = [[*_message(each), ""] for each in nested]
    parts += [[*_enum_class(enum), "", *_enum_members(enum)] for enum in message.enum_types]
    parts += [_constructor(message), *(_field(field) for field in message.fields)]
    parts.append(_lookups(message))
    body = (f"    {line}".rstrip() for part in parts for line in part)
    return [f"class {message.name}({base}Message):", *body]


def _constructor(message: Descriptor) -> list[str]:
    arguments = [f"{field.name}: {_accepted(field)} = ..." for field in message.fields]
    return _def("__init__", ["*", *arguments] if arguments else [], "None")


def _field(field: FieldDescriptor) -> list[str]:
    """Render a field; only singular scalars can be assigned to."""
    if field.message_type is None and not field.is_repeated:
        return [f"{field.name}: {_type(field)}"]
    return ["@property", *_def(field.name, [], _stored(field))]


def _lookups(message: Descriptor) -> list[str]:
    """Render HasField and WhichOneof; synthetic groups of optional fields begin with `_`."""
    groups = [group for group in message.oneofs if not group.name.startswith("_")]
    present = [field.name for field in message.fields if field.has_presence]
    lines = []
    if present:
        names = [*present, *(group.name for group in groups)]
        lines += _def("HasField", [f"field_name: {_literal(names)}"], "bool")
    for group in groups:  # a message with two groups would need overloads; none has two
        members = _literal([field.name for field in group.fields])
        lines += _def("WhichOneof", [f"oneof_group: {_literal([group.name])}"], f"{members} | None")
    return lines


def _def(name: str, arguments: Sequence[str], result: str) -> list[str]:
    """Render a method as the formatter would, in one line or one line for each argument."""
    arguments = ["self", *arguments]
    inline = f"def {name}({', '.join(arguments)}) -> {result}: ..."
    if len(inline) <= LINE:
        return [inline]
    broken = (line for argument in arguments for line in _argument(argument))
    return [f"def {name}(", *(f"    {line}" for line in broken), *_result(result)]


def _result(text: str) -> list[str]:
    """Render the end of a method whose arguments take several lines."""
    if len(text) <= LINE or not text.endswith("] | None"):
        return [f") -> {text}: ..."]
    members = text.removesuffix(" | None").removesuffix("]").removeprefix("Literal[").split(", ")
    lines = ["Literal[", *(f"    {each}," for each in members), "]", "| None"]
    return [") -> (", *(f"    {line}" for line in lines), "): ..."]


def _argument(text: str) -> list[str]:
    if len(text) < LINE:
        return [f"{text},"]
    head, _, items = text.removesuffix("]").partition("[")
    return [f"{head}[", *(f"    {item}," for item in items.split(", ")), "],"]


def _stored(field: FieldDescriptor) -> str:
    """Return the type that reading the field gives."""
    if not field.is_repeated:
        return _type(field)
    if entry := _map_entry(field):
        container = "ScalarMap" if entry[1] in {"str", "bytes", *SCALARS.values()} else "MessageMap"
        return f"{container}[{entry[0]}, {entry[1]}]"
    kind = "Scalar" if field.message_type is None else "Composite"
    return f"Repeated{kind}FieldContainer[{_type(field)}]"


def _accepted(field: FieldDescriptor) -> str:
    """Return the type that the constructor takes for the field."""
    if not field.is_repeated:
        return f"{_type(field)} | None" if field.has_presence else _type(field)
    if entry := _map_entry(field):
        return f"Mapping[{entry[0]}, {entry[1]}] | None"
    return f"Iterable[{_type(field)}] | None"


def _type(field: FieldDescriptor) -> str:
    if message := field.message_type:
        namespace = NAMESPACE_OF_FILE[message.file.name]
        local = message.full_name.removeprefix(f"{message.file.package}.")
        own_file = field.containing_type.file if field.containing_type else message.file
        is_own = namespace == NAMESPACE_OF_FILE[own_file.name]
        return local if is_own else f"{namespace}.{local}"
    if field.cpp_type == Field.CPPTYPE_STRING:
        return "bytes" if field.type == Field.TYPE_BYTES else "str"
    return SCALARS[field.cpp_type]


def _literal(names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"Literal[{quoted}]"


def _map_entry(field: FieldDescriptor) -> tuple[str, str] | None:
    """Return the types of a map's keys and values, None for any other field."""
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        return None
    key, value = field.message_type.fields
    return _type(key), _type(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every generated file, or compare with what is there; return the exit code."""
    parser = argparse.ArgumentParser(description="Regenerate the compiled protocols and stubs.")
    parser.add_argument("--check", action="store_true", help="only name stale files, exit 1 if any")
    checking = parser.parse_args(arguments).check
    descriptor_set = compile_descriptor_set(DESCRIPTOR_SET.parent)
    wanted = {DESCRIPTOR_SET: descriptor_set}
    for name, text in render_stubs(descriptor_set).items():
        wanted[DESCRIPTOR_SET.with_name(name)] = text.encode()
    stale = [path for path, new in wanted.items() if not path.exists() or path.read_bytes() != new]
    for path in stale:
        print(f"stale: {path}" if checking else f"wrote: {path}")
        if not checking:
            path.write_bytes(wanted[path])
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main())

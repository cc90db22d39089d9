"""Build the single file: a launcher, and behind it an interpreter with the package, compressed.

Usage: single_file.py OUTPUT

Runs with the interpreter of an environment in which rpw_fixture is installed; this is the interpreter that
the file gets. Even the C library and its dynamic loader are in it, so that a machine's own, older or of
another kind, doesn't matter. The kernel wants an absolute path of the loader in a program: the
launcher writes it when it unpacks, into the space that is made for it here.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import py_compile
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import program_files

_HERE = Path(__file__).resolve().parent
_LAUNCHER = ("gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s")
_ENTRY = struct.Struct("=IIQII")
_TRAILER = struct.Struct("=QQ16s16s")
_MAGIC = b"rpw-fixture-file"
_LOADER_SPACE = 1024
_LEVEL = 19
_LIMIT = 40 << 20
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Build the file, and print its size."""
    output = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="rpw-file-") as folder:
        root = Path(folder) / "root"
        lay_out(root)
        launcher = Path(folder) / "launcher"
        source = str(_HERE / "launcher.c")
        subprocess.run([*_LAUNCHER, source, "-o", str(launcher), "-lzstd"], check=True)
        frame = compress(pack(root))
        start = launcher.read_bytes()
    identity = hashlib.sha256(start + frame).hexdigest()[:16].encode()
    whole = start + frame + _TRAILER.pack(len(start), len(frame), identity, _MAGIC)
    if len(whole) > _LIMIT:
        raise SystemExit(f"the file has {len(whole)} bytes; at most {_LIMIT} are allowed")
    output.write_bytes(whole)
    output.chmod(0o755)
    print(f"{output}: {len(whole) / (1 << 20):.1f} MiB")


def lay_out(root: Path) -> None:
    """Lay out what the launcher unpacks."""
    library = root / "lib" / _PYTHON
    for path, source in program_files.standard_library():
        _place(source, library / path, keep_source=False)
    for path, source in program_files.package_files():
        # What the program starts as a script, or hands out, has to be there as it is.
        _place(source, library / path, keep_source=path.startswith("rpw_fixture/"))
    program = root / "bin" / "python3"
    _place(Path(sys.executable).resolve(), program, keep_source=True)
    program.chmod(0o755)
    _add_libraries(root)
    loaders = [each for each in (root / "lib").iterdir() if each.name.startswith("ld-linux")]
    loaders[0].rename(root / "lib" / "loader")
    _edit("--set-interpreter", "/" + "x" * (_LOADER_SPACE - 2), program)


def _place(source: Path, target: Path, *, keep_source: bool) -> None:
    """Put a file there; a module is compiled, and its source is left out unless it is to be kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".py" or keep_source:
        shutil.copyfile(source, target)
    if source.suffix == ".py":
        compiled = target.with_suffix(".pyc")
        if keep_source:
            compiled = Path(importlib.util.cache_from_source(str(target)))
            compiled.parent.mkdir(exist_ok=True)
        shown = str(target).rpartition(f"/{_PYTHON}/")[2]  # in tracebacks
        # The times of unpacked files say nothing, so that they are not compared.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(compiled), shown, doraise=True, invalidation_mode=mode)


def _add_libraries(root: Path) -> None:
    """Add the libraries of all programs and libraries, and have each look for them there only."""
    folder = root / "lib"
    waiting = [each for each in root.rglob("*") if ".so" in each.name or each.parent.name == "bin"]
    sources = {each: each for each in waiting}
    sources[root / "bin" / "python3"] = Path(sys.executable).resolve()
    while waiting:
        each = waiting.pop()
        for name, path in program_files.libraries(sources[each]).items():
            target = folder / name
            if not target.exists():
                shutil.copyfile(path, target)
                sources[target] = path
                waiting.append(target)
        if not program_files.is_c_library(each.name):
            up = (
                "/.." * (len(each.relative_to(folder).parts) - 1)
                if folder in each.parents
                else "/../lib"
            )
            subprocess.run(["strip", "--strip-unneeded", str(each)], check=True)
            # RPATH, not RUNPATH: LD_LIBRARY_PATH may lead to libraries of another C library.
            _edit("--force-rpath", "--set-rpath", f"$ORIGIN{up}", each)


def _edit(*arguments: str | Path) -> None:
    subprocess.run(["patchelf", *map(str, arguments)], check=True)


def pack(root: Path) -> bytes:
    """Return all files in the form that the launcher reads."""
    parts = []
    for file in sorted(each for each in root.rglob("*") if each.is_file()):
        content = file.read_bytes()
        path = file.relative_to(root).as_posix().encode()
        is_program = path in {b"bin/python3", b"lib/loader"}
        offset = content.find(b"/" + b"x" * (_LOADER_SPACE - 2)) if path == b"bin/python3" else 0
        space = _LOADER_SPACE if offset else 0
        mode = 0o755 if is_program else 0o644
        parts += [_ENTRY.pack(len(path), mode, len(content), offset, space), path, content]
    return b"".join([*parts, _ENTRY.pack(0, 0, 0, 0, 0)])


def compress(data: bytes) -> bytes:
    """Return one Zstandard frame with a checksum."""
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    zstd = importlib.import_module(module)
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _LEVEL,
        parameter.checksum_flag: 1,
        parameter.window_log: 26,
    }
    compressor = zstd.ZstdCompressor(options=options)
    compressor.set_pledged_input_size(len(data))
    compressed: bytes = compressor.compress(data, mode=compressor.FLUSH_FRAME)
    return compressed


if __name__ == "__main__":
    main()

"""Workers that are hard to look into: large, easily hurt, written in C, or with other processes."""

from __future__ import annotations

from tests.hermeticity.carriers.leaky_workers import Leaky
from tests.hermeticity.samples import LONG

#: 200 MB of state take ten seconds of processor time; a fifth of it reaches the same limits.
_ENTRIES, _BYTES, _NESTED = (
    (400_000, 150_000_000, 100_000) if LONG else (60_000, 30_000_000, 50_000)
)

HARD = [
    Leaky(
        "module global",
        "_seen",
        f"""
_data = {{number: str(number) * 10 for number in range({_ENTRIES})}}
_text = "x" * {_BYTES}
_nested = [[number, {{"number": number}}] for number in range({_NESTED})]
_seen = []  # here
def work(name):
    _seen.append(name)
    _data[name] = 1
    return len(_seen)
""",
    ),
    Leaky(
        "module global",
        "_count",
        """
import types
class Hurt(types.ModuleType):
    def __getattribute__(self, name):
        raise RuntimeError("touched")
class Angry:
    __slots__ = ()
    def __getattr__(self, name):
        raise SystemExit(3)
    def __eq__(self, other):
        raise RuntimeError("compared")
    def __hash__(self):
        raise RuntimeError("hashed")
    def __repr__(self):
        raise RuntimeError("shown")
    def __len__(self):
        raise RuntimeError("counted")
    @property
    def value(self):
        raise SystemExit(4)
class List(list):
    def __iter__(self):
        raise RuntimeError("iterated")
    def __len__(self):
        raise RuntimeError("counted")
sys.modules["hurt"] = Hurt("hurt")
sys.modules["angry"] = Angry()
sys.modules["nothing"] = None
_all = [sys.modules["hurt"], Angry(), List([1, 2])]
_count = 0  # here
def work(name):
    global _count
    _count += 1
    _all.append(Angry())
    return _count
""",
    ),
    Leaky(
        "module global",
        "_memory",
        """
import array, ctypes, mmap, zlib
_memory = (ctypes.c_int * 4)()  # here
_map = mmap.mmap(-1, 4096)
_array = array.array("i", [1])
_packer = zlib.compressobj()
def work(name):
    _packer.compress(name.encode())
    _array.append(2)
    _map[0:1] = b"x"
    _memory[0] += 1
    return _memory[0]
""",
    ),
    Leaky(
        "module global",
        "_seen",
        """
_seen = []  # here
def work(name):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, name.upper().encode())
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reading, 100)
    os.close(reading)
    os.close(writing)
    _seen.append(text)
    return _seen
""",
    ),
    Leaky(
        "module global",
        "_seen",
        """
import threading
_seen = []  # here
_work = threading.Semaphore(0)
def idle():
    while True:
        _work.acquire()
for _ in range(3):
    threading.Thread(target=idle, daemon=True).start()
def work(name):
    _seen.append(name)
    return len(_seen)
""",
    ),
]

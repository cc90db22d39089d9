"""Workers that are hard to look into: large, easily hurt, written in C, or with other processes."""

from __future__ import annotations

from tests.hermeticity.carriers.leaky_java_workers import LeakyJava
from tests.hermeticity.carriers.leaky_node_workers import LeakyNode
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

#: For the script; in the tests' time they show nothing that those in Python do not.
HARD_NODE = [
    LeakyNode(
        "module global",
        "seen",
        """
const seen = []; // here
const data = new Map();
for (let number = 0; number < 400000; number++) data.set(number, String(number).repeat(10));
const text = Buffer.alloc(100000000, 120);
const nested = Array.from({ length: 300000 }, (_, number) => [number, { number }]);
function compile(name) {
  seen.push(name);
  data.set(name, 1);
  return seen.length;
}
""",
    ),
    LeakyNode(
        "module global",
        "count",
        """
let count = 0; // here
const fail = () => { throw new Error('touched'); };
const hurt = new Proxy({}, { get: fail, ownKeys: fail, getPrototypeOf: fail, has: fail });
const angry = { get value() { return fail(); }, toString: fail, toJSON: fail, [Symbol.iterator]: fail };
const all = [hurt, angry];
module.exports = new Proxy(function () {}, { get: fail });
globalThis.angry = hurt;
function compile(name) {
  count += 1;
  all.push(new Proxy({}, { get: fail }));
  return count;
}
""",
    ),
    LeakyNode(
        "module global",
        "seen",
        """
const { execFileSync } = require('node:child_process');
const seen = []; // here
function compile(name) {
  seen.push(String(execFileSync('echo', [name])));
  return seen.join('');
}
""",
    ),
    LeakyNode(
        "module global",
        "seen",
        """
const { Worker } = require('node:worker_threads');
const seen = []; // here
new Worker('require("node:worker_threads").parentPort.on("message", () => 0)', { eval: true }).unref();
function compile(name) {
  seen.push(name);
  return seen.join();
}
""",
    ),
]
HARD_JAVA = [
    LeakyJava(
        "Large",
        "static field",
        "tool.Large.SEEN",
        """
  private static final List<String> SEEN = new ArrayList<>(); // here
  private static final Map<Integer, String> DATA = new HashMap<>();
  private static final byte[] TEXT = new byte[100_000_000];
  private static final List<List<Integer>> NESTED = new ArrayList<>();
  static {
    for (int number = 0; number < 400_000; number++) {
      DATA.put(number, String.valueOf(number).repeat(10));
    }
    for (int number = 0; number < 300_000; number++) {
      NESTED.add(new ArrayList<>(List.of(number, 1)));
    }
  }
  private String compile(String name) {
    SEEN.add(name);
    DATA.put(1, name);
    return SEEN.toString();
  }
""",
        heap="700m",
    ),
    LeakyJava(
        "Angry",
        "static field",
        "tool.Angry.count",
        """
  static final class Hurt extends AbstractMap<String, String> {
    public Set<Map.Entry<String, String>> entrySet() { throw new IllegalStateException("touched"); }
    public int size() { throw new IllegalStateException("counted"); }
    public boolean equals(Object other) { throw new IllegalStateException("compared"); }
    public int hashCode() { throw new IllegalStateException("hashed"); }
    public String toString() { throw new Error("shown"); }
  }
  static final class Broken { static final int VALUE = Integer.parseInt("x"); }
  private static final List<Object> ALL = new ArrayList<>();
  private static int count; // here
  static {
    try {
      ALL.add(Broken.VALUE);
    } catch (ExceptionInInitializerError expected) {
      ALL.add(new Hurt());
    }
  }
  private String compile(String name) {
    ALL.add(new Hurt());
    return String.valueOf(++count);
  }
""",
    ),
    LeakyJava(
        "Forks",
        "static field",
        "tool.Forks.SEEN",
        """
  private static final List<String> SEEN = new ArrayList<>(); // here
  private String compile(String name) throws Exception {
    Process child = new ProcessBuilder("cat").start();
    child.getOutputStream().close();
    SEEN.add(name + child.waitFor());
    return SEEN.toString();
  }
""",
    ),
]

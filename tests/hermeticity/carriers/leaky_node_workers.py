"""Small Node.js workers that keep state; the line that defines it ends in ``// here``."""

from __future__ import annotations

from dataclasses import dataclass

#: A tool that writes one line, with a memo of a pure function that changes nothing.
FRAME = """\
'use strict';
const fs = require('node:fs');
const memo = new Map();
let requests = 0;
{state}
function answer(request) {{
  const [name, out] = request.arguments;
  if (!memo.has(name)) memo.set(name, name.toUpperCase());
  requests += 1;
  fs.writeFileSync(out, `${{memo.get(name)}} ${{compile(name)}}\\n`);
  return {{ exitCode: 0, output: '', requestId: request.requestId || 0 }};
}}
{main}
"""
TURNING = """\
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\\n`);
});
"""
WAITING = """\
function readLine() {
  const byte = Buffer.alloc(1);
  let line = '';
  while (fs.readSync(0, byte) === 1 && byte[0] !== 10) line += byte.toString('latin1');
  return line;
}
for (let line; (line = readLine()); ) {
  fs.writeSync(1, `${JSON.stringify(answer(JSON.parse(line)))}\\n`);
}
"""


@dataclass(frozen=True)
class LeakyNode:
    """A worker, and the carrier that is to be found."""

    kind: str
    name: str
    state: str
    main: str = TURNING

    @property
    def source(self) -> str:
        return FRAME.format(state=self.state, main=self.main)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".replace(" ", "-")


LEAKY_NODE = [
    LeakyNode(
        "module global",
        "seen",
        """
const seen = []; // here
function compile(name) {
  seen.push(name);
  return seen.length;
}
""",
        main=WAITING,
    ),
    LeakyNode(
        "closure",
        "previous",
        """
function makeTool() {
  let previous = 'nothing'; // here
  return { next(name) { const before = previous; previous = name; return before; } };
}
const tool = makeTool();
function compile(name) {
  return tool.next(name);
}
""",
    ),
    LeakyNode(
        "module global",
        "compiler.#options",
        """
class Compiler {
  #options = {}; // here
  compile(name) {
    this.#options = { ...this.#options, [name]: true };
    return Object.keys(this.#options).join();
  }
}
const compiler = new Compiler();
function compile(name) {
  return compiler.compile(name);
}
""",
    ),
    LeakyNode(
        "module global",
        "header",
        """
let header = ''; // here
function compile(name) {
  const before = header;
  header = name;
  return before;
}
""",
    ),
    LeakyNode(
        "module global",
        "symbols",
        """
const symbols = new Map(); // here
function compile(name) {
  symbols.set(name, (symbols.get(name) || 0) + 1);
  return JSON.stringify([...symbols]);
}
""",
    ),
    LeakyNode(
        "module global",
        "Registry.plugins",
        """
class Registry {
  static plugins = new Set(); // here
}
function compile(name) {
  Registry.plugins.add(name);
  return [...Registry.plugins].join();
}
""",
    ),
    LeakyNode(
        "closure",
        "cache",
        """
function memoized(compute) {
  const cache = {}; // here
  return (name) => (cache.only ??= compute(name));
}
const lower = memoized((name) => name.toLowerCase());
function compile(name) {
  return lower(name);
}
""",
    ),
    LeakyNode(
        "global",
        "String.prototype.shout",
        """
function compile(name) {
  const before = typeof ''.shout;
  String.prototype.shout = function () { return `${this}!`; };
  return before;
}
""",
    ),
    LeakyNode(
        "environment",
        "NODE_ENV",
        """
function compile(name) {
  const before = process.env.NODE_ENV || 'none';
  process.env.NODE_ENV = name;
  return before;
}
""",
    ),
    LeakyNode(
        "global",
        "globalThis.lastTarget",
        """
function compile(name) {
  const before = globalThis.lastTarget || 'none';
  globalThis.lastTarget = name;
  return before;
}
""",
    ),
    LeakyNode(
        "module global",
        "events",
        """
const { EventEmitter } = require('node:events');
const events = new EventEmitter(); // here
function compile(name) {
  let heard = 0;
  events.on('done', () => { heard += 1; });
  events.emit('done');
  return events.listenerCount('done');
}
""",
    ),
    LeakyNode(
        "file",
        "$TMPDIR/tool.last",
        """
function compile(name) {
  const last = require('node:path').join(require('node:os').tmpdir(), 'tool.last');
  const before = fs.existsSync(last) ? fs.readFileSync(last, 'utf8') : 'none';
  fs.writeFileSync(last, name);
  return before;
}
""",
    ),
    LeakyNode(
        "module global",
        "settings.target",
        """
const settings = { target: 'es5', strict: false }; // here
function compile(name) {
  const before = settings.target;
  Object.assign(settings, { target: name });
  return before;
}
""",
    ),
    LeakyNode(
        "function attribute",
        "format.calls",
        """
function format(name) {
  format.calls = (format.calls || 0) + 1;
  return `${name} ${format.calls}`;
}
function compile(name) {
  return format(name);
}
""",
    ),
    LeakyNode(
        "global",
        "path.join",
        """
const path = require('node:path');
function compile(name) {
  const join = path.join;
  path.join = (...all) => `${join(...all)}/${name}`;
  return join('src', 'main');
}
""",
    ),
]

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
  fs.writeFileSync(out, `${{memo.get(name)}} ${{work(name)}}\\n`);
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
function work(name) {
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
function work(name) {
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
function work(name) {
  return compiler.compile(name);
}
""",
    ),
]

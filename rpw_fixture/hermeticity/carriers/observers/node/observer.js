/**
 * Observe the state of a Node.js worker for the search for carriers.
 *
 * Loaded with NODE_OPTIONS=--require before the tool. It connects to the socket in RPW_OBSERVER, and
 * answers one JSON line for each JSON line: mark, changes, restore, growth. It never writes to
 * stdout or stderr, never throws into the tool, and does not keep the process from ending.
 */
'use strict';

const address = process.env.RPW_OBSERVER;

/** Remove what loaded the observer, so that neither the tool nor its children see it. */
function hide() {
  delete process.env.RPW_OBSERVER;
  const left = (process.env.NODE_OPTIONS || '')
    .replaceAll(`"${__filename}"`, __filename)
    .replace(new RegExp(`\\s*(--require|-r)[ =]${escaped(__filename)}`), '')
    .trim();
  if (left) process.env.NODE_OPTIONS = left;
  else delete process.env.NODE_OPTIONS;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function start() {
  const { Channel } = require('./channel.js');
  const { State } = require('./state.js');
  const scopes = require('./scopes.js');
  const stdin = require('./stdin.js');
  scopes.install();
  const state = new State();
  const commands = {
    mark: (message) => state.mark(message),
    changes: () => state.changes(),
    restore: (message) => state.restore(message.ids || []),
    growth: () => state.growth(),
  };
  const channel = new Channel(address, (message) => {
    if (!Object.hasOwn(commands, message.do)) return { error: `unknown command: ${message.do}` };
    return commands[message.do](message);
  });
  channel.open({ runtime: 'node', pid: process.pid, version: process.versions.node });
  stdin.install(() => channel.serve());
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(`${__dirname}/`)) delete require.cache[file];
  }
}

if (address) {
  hide();
  try {
    start();
  } catch {
    // The tool runs as without the observer; the check hears that nobody connected.
  }
}

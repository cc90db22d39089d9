/**
 * Local variables of functions that are on the stack while the observer answers: those of a loop that
 * reads its requests synchronously.
 */
'use strict';

const places = require('./places.js');
const scopes = require('./scopes.js');
const { fileOf, named } = require('./roots.js');

/** The scope of a frame that only the stack holds, by its index; -1 for none, or for a module. */
function localScope(inspector, frame) {
  const depth = frame.scopeChain.findIndex(({ type }) => type === 'local');
  const values = depth < 0 ? {} : inspector.value(frame.scopeChain[depth].object.objectId);
  const isModule = Object.hasOwn(values, '__filename') && Object.hasOwn(values, 'require');
  return { depth: isModule ? -1 : depth, values };
}

/**
 * The tool's functions on the stack, the outermost first. Variables of blocks inside a function are new
 * in each turn of a loop. The innermost function is the one that reads, if there are others: it is new
 * for each request, and its variables belong to a read that has begun.
 */
function locals(inspector, frames) {
  const found = [];
  for (const [index, frame] of [...frames].reverse().entries()) {
    const file = fileOf(inspector.urls.get(frame.location.scriptId) ?? '');
    if (!file || scopes.isOurs(file)) continue;
    const { depth, values } = localScope(inspector, frame);
    const key = `${index} ${frame.functionName}`;
    found.push({ file, depth, frame, values: named(values), key });
  }
  const lasting = found.length > 1 ? found.slice(0, -1) : found;
  return lasting.filter(({ depth }) => depth >= 0);
}

/** The local variables of one function on the stack. */
class FrameRoot {
  kind = 'local variable';

  /** @param covered names that closures hold as well */
  constructor(inspector, found, covered) {
    this.inspector = inspector;
    this.covered = covered;
    this.key = found.key;
    this.file = found.file;
    this.line = found.frame.location.lineNumber + 1;
  }

  read() {
    let values = new Map();
    this.inspector.withFrames((frames) => {
      for (const each of locals(this.inspector, frames)) if (each.key === this.key) values = each.values;
    });
    for (const name of this.covered) values.delete(name);
    return values;
  }

  write(name, value) {
    let reason = 'its function has returned';
    this.inspector.withFrames((frames) => {
      for (const { key, frame, depth } of locals(this.inspector, frames)) {
        if (key !== this.key) continue;
        this.inspector.setVariable(frame.callFrameId, depth, name, value);
        reason = '';
      }
    });
    return reason;
  }

  place(name) {
    return places.ofVariable(this.file, name, this.line);
  }
}

/** Roots for the functions on the stack, without the variables that closures hold. */
function frameRoots(inspector, closures) {
  const roots = [];
  inspector.withFrames((frames) => {
    for (const each of locals(inspector, frames)) {
      const around = closures.filter(({ file, title }) => file === each.file && title.includes(`(${each.frame.functionName})`));
      roots.push(new FrameRoot(inspector, each, around.flatMap((root) => [...root.read().keys()])));
    }
  });
  return roots;
}

module.exports = { frameRoots };

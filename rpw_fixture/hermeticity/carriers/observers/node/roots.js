/**
 * Where the search starts: the variables of modules and closures.
 *
 * A root has `kind`, `file`, `read()` (a Map of values by name), `write(name, value)` (the reason for
 * a failure, or "") and `place(name)`.
 */
'use strict';

const { fileURLToPath } = require('node:url');
const places = require('./places.js');
const scopes = require('./scopes.js');

/** Names that Node.js gives each CommonJS module, and ours. */
const GIVEN = new Set([
  'exports', 'require', 'module', '__filename', '__dirname', 'arguments', '__rpw', '__rpw_value', 'this',
]);
/** Functions with a longer text contain others, through which their variables are found sooner. */
const LONGEST_TEXT = 20_000;
const MOST_CLOSURES_OF_A_LINE = 20;

function named(object) {
  return new Map(Object.entries(object).filter(([name]) => !GIVEN.has(name)));
}

function fileOf(url) {
  if (url.startsWith('file:')) return fileURLToPath(url);
  return url.startsWith('/') || /^[A-Za-z]:\\/.test(url) ? url : '';
}

function imported(text) {
  const names = new Set();
  for (const [, list] of text.matchAll(/^\s*import\s+([^'";]+?)\s+from\b/gm)) {
    for (const [name] of list.matchAll(/[\w$]+/g)) names.add(name);
  }
  return names;
}

class ModuleRoot {
  kind = 'module global';

  constructor(inspector, file, evaluate) {
    Object.assign(this, { inspector, file, evaluate });
    this.skipped = null;
  }

  read() {
    const [scope] = this.inspector.closure(this.evaluate)?.scopes() ?? [];
    const values = scope ? named(scope.values) : new Map();
    this.skipped ??= scope?.title === 'Module' ? imported(places.text(this.file)) : new Set();
    for (const name of this.skipped) values.delete(name);
    return values;
  }

  exports() {
    try {
      return this.evaluate('module').exports;
    } catch {
      return undefined; // an ES module: what it exports is among its variables
    }
  }

  write(name, value) {
    try {
      this.evaluate(`${name} = __rpw_value`, value);
      return '';
    } catch (error) {
      return error.message;
    }
  }

  place(name) {
    return places.ofVariable(this.file, name);
  }
}

class ClosureRoot {
  constructor(inspector, callable, found) {
    Object.assign(this, { inspector, callable, ...found });
    this.kind = this.title === 'Module' ? 'module global' : 'closure';
  }

  read() {
    const all = this.inspector.closure(this.callable)?.scopes() ?? [];
    return all[this.depth] ? named(all[this.depth].values) : new Map();
  }

  write(name, value) {
    return this.inspector.setInClosure(this.callable, this.depth, this.count, name, value);
  }

  place(name) {
    return places.ofVariable(this.file, name, this.line);
  }
}

/** Whether a scope is looked at elsewhere: a module's, or the global one. */
function isCovered({ title, values }, file) {
  if (title === 'Global' || title === 'Script') return true;
  if (title === 'Module') return scopes.modules.has(file);
  return Object.hasOwn(values, '__filename') && Object.hasOwn(values, 'require');
}

/** Finds the scopes of all live functions of the tool, each scope once. */
class ClosureSearch {
  constructor(inspector, baseline) {
    Object.assign(this, { inspector, baseline });
    this.groups = new Map();
    this.roots = [];
    this.reason = '';
  }

  /**
   * @param live all live objects
   * @param first values to begin with: functions that the tool has put into places of Node.js
   */
  run(live, first, budget) {
    this.inspector.scripts();
    const callables = new Set();
    for (const each of [...first, ...live]) {
      if (typeof each === 'function' && !this.baseline.has(each)) callables.add(each);
    }
    for (const callable of callables) {
      if (budget.isSpent) {
        this.reason = 'there are too many functions to look into all of their closures';
        break;
      }
      this.look(callable);
    }
    return this.roots;
  }

  look(callable) {
    if (textOf(callable).length > LONGEST_TEXT) return;
    const closure = this.inspector.closure(callable);
    const file = closure ? fileOf(closure.url) : '';
    if (!file || scopes.isOurs(file)) return;
    const list = closure.scopes();
    list.forEach((scope, depth) => {
      if (isCovered(scope, file)) return;
      const found = { file, line: closure.line, title: scope.title, depth, count: list.length };
      this.add(callable, found, named(scope.values));
    });
  }

  /** Functions of one scope have equal values; two functions of one line have scopes of two calls. */
  add(callable, found, values) {
    if (!values.size) return;
    const key = `${found.file} ${found.title} ${[...values.keys()]}`;
    const group = this.groups.get(key) ?? [];
    this.groups.set(key, group);
    const same = group.find((each) => !each.lines.has(found.line) && isEqual(each.values, values));
    if (same) {
      same.lines.add(found.line);
      if (isPlain(callable) && !isPlain(same.root.callable)) Object.assign(same.root, { callable, ...found });
      return;
    }
    if (group.length >= MOST_CLOSURES_OF_A_LINE) return;
    const root = new ClosureRoot(this.inspector, callable, found);
    group.push({ lines: new Set([found.line]), values, root });
    this.roots.push(root);
  }
}

const textOf = Function.prototype.call.bind(Function.prototype.toString);

/** Whether a function can be called without `new`. */
function isPlain(callable) {
  return !/^class\b/.test(textOf(callable));
}

function isEqual(one, other) {
  for (const [name, value] of one) if (!Object.is(other.get(name), value)) return false;
  return true;
}

function moduleRoots(inspector, files = scopes.modules.keys()) {
  return [...files].map((file) => new ModuleRoot(inspector, file, scopes.modules.get(file)));
}

module.exports = { moduleRoots, ClosureSearch, fileOf, named };

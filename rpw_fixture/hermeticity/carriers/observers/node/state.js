/** The state of the tool: remember it, say what changed, put it back. */
'use strict';

const { Inspector } = require('./inspector.js');
const v8 = require('node:v8');
const { Budget } = require('./budget.js');
const { frameRoots } = require('./frames.js');
const { moduleRoots, ClosureSearch } = require('./roots.js');
const { Listeners, moduleObjects, surroundings } = require('./surroundings.js');
const { ObjectWalk } = require('./walk.js');
const { countByClass, grown } = require('./growth.js');
const places = require('./places.js');
const scopes = require('./scopes.js');
const short = require('./short.js');
const slots = require('./slots.js');

/** Processor time for each answer, and the time until the answer is due. */
const MILLISECONDS = 1500;
const MOST_MILLISECONDS = 8000;
/** As much of both goes to closures at most. */
const CLOSURE_SHARE = 0.4;
/** For the modules that a request loads, in all. */
const LATE_MILLISECONDS = 500;
const LOOK_EVERY = 64;
/** To list the objects of a larger heap takes longer than the rest together. */
const LARGEST_HEAP = 200 << 20;
const MOST_CHANGES = 500;
const ABSENT = '(absent)';

function isSame(one, other) {
  return short.isOf(one, Listeners) ? one.isSame(other) : Object.is(one, other);
}

function shown(map, name) {
  if (!map.has(name)) return ABSENT;
  const value = map.get(name);
  return short.isOf(value, Listeners) ? String(value) : short.value(value);
}

/** Whether an object is changed as a table of entries rather than as one with fields. */
function isTable(keys, before, now) {
  const moved = keys.filter((key) => !before.has(key) || !now.has(key));
  return moved.length > 1 || moved.some((key) => typeof key === 'symbol' || !/^[A-Za-z_$][\w$]*$/.test(key));
}

/** Modules with few variables first: the large ones are libraries. */
function bySize(roots) {
  const sizes = new Map(roots.map((root) => [root, root.read().size]));
  return [...roots].sort((one, other) => sizes.get(one) - sizes.get(other));
}

/** The functions among a root's values, also those of listeners. */
function functionsOf(root) {
  return [...root.read().values()].flatMap((value) => (short.isOf(value, Listeners) ? value.all : [value]));
}

class State {
  constructor() {
    this.inspector = new Inspector();
    /** What was there before the tool: Node.js's functions, and the values of its objects. */
    const live = this.inspector.live(Object.prototype);
    this.baseline = new WeakSet(live.filter((each) => typeof each === 'function'));
    for (const root of surroundings(live)) {
      for (const value of root.read().values()) if (isObject(value)) this.baseline.add(value);
    }
    this.inspector.release();
    this.roots = [];
    this.classes = null;
    this.late = 0;
    this.units = new Map();
  }

  /** Remember the state now. `root`: the input root; `growth`: growth will be asked for. */
  mark({ root, growth }) {
    const whole = new Budget(MILLISECONDS, MOST_MILLISECONDS);
    if (root) places.setRoot(root);
    const search = new ClosureSearch(this.inspector, this.baseline);
    const isLarge = v8.getHeapStatistics().used_heap_size > LARGEST_HEAP;
    const live = isLarge ? [] : this.inspector.live(Object.prototype);
    this.classes = growth && !isLarge ? countByClass(live, this.baseline) : null;
    const around = surroundings(live);
    const variables = bySize(moduleRoots(this.inspector));
    const first = [...around, ...variables].flatMap(functionsOf);
    const share = new Budget(MILLISECONDS * CLOSURE_SHARE, MOST_MILLISECONDS * CLOSURE_SHARE);
    const closures = search.run(live, first, share);
    const frames = frameRoots(this.inspector, closures);
    const roots = [...variables, ...closures, ...frames, ...around];
    this.roots = roots.map((each) => ({ root: each, values: each.read() }));
    for (const each of moduleObjects()) if (isObject(each)) this.baseline.add(each);
    // Only now: to list the objects of a large heap takes seconds, and must not leave the walk without any.
    const budget = new Budget(MILLISECONDS, Math.max(whole.left, MILLISECONDS));
    this.walk = new ObjectWalk(this.inspector, this.baseline, budget);
    this.walk.run(this.roots);
    this.units = new Map();
    this.late = LATE_MILLISECONDS;
    scopes.setOnLoad((file) => this.markLate(file));
    this.inspector.release();
    const reason = this.walk.reason || search.reason || (isLarge ? 'its heap is too large to look for closures' : '');
    return { ok: true, seen: this.walk.records.length, is_cut: reason !== '', reason };
  }

  /** Remember a module that a request has loaded, as it is before anything calls it. */
  markLate(file) {
    if (this.late <= 0) return;
    const budget = new Budget(this.late, MOST_MILLISECONDS);
    const added = moduleRoots(this.inspector, [file]).map((root) => ({ root, values: root.read() }));
    this.roots.push(...added);
    this.walk.more(added, budget);
    this.late -= budget.used;
    this.inspector.release();
  }

  changes() {
    const budget = new Budget(MILLISECONDS, MOST_MILLISECONDS);
    this.units = new Map();
    for (const each of this.roots) this.compareRoot(each);
    let reason = '';
    for (const [at, record] of (this.walk?.records ?? []).entries()) {
      if (at % LOOK_EVERY === 0 && budget.isSpent) reason = 'comparing took too long';
      else if (this.units.size >= MOST_CHANGES) reason = `more than ${MOST_CHANGES} changes`;
      if (reason) break;
      this.compareObject(record);
    }
    this.inspector.release();
    const changes = [...this.units.values()].map(({ restore, ...change }) => change);
    return { changes, is_cut: reason !== '', reason };
  }

  restore(ids) {
    const restored = [];
    const failed = {};
    for (const id of ids) {
      let reason = 'no such change';
      try {
        reason = this.units.has(id) ? this.units.get(id).restore() : reason;
      } catch (error) {
        reason = error.message;
      }
      if (reason) failed[id] = reason;
      else restored.push(id);
    }
    this.inspector.release();
    return { restored, failed };
  }

  growth() {
    const live = this.classes && this.inspector.live(Object.prototype);
    const classes = live && countByClass(live, this.baseline);
    const growing = grown(this.roots, this.walk?.records ?? [], this.classes, classes);
    this.inspector.release();
    return { growing };
  }

  compareRoot({ root, values }) {
    const now = root.read();
    const names = new Set([...values.keys(), ...now.keys()]);
    for (const name of names) {
      if (values.has(name) === now.has(name) && isSame(values.get(name), now.get(name))) continue;
      this.add({
        kind: root.kind,
        name,
        place: root.place(name),
        before: shown(values, name),
        after: shown(now, name),
        restore: () => root.write(name, values.get(name)),
      });
    }
  }

  compareObject(record) {
    const { value, made } = record;
    const now = slots.copy(value);
    if (!slots.isSameContent(made, now)) this.addContent(record, now);
    const keys = slots.differences(made.properties, now.properties);
    if (record.isPlain && isTable(keys, made.properties, now.properties)) this.addWhole(record, now);
    else for (const key of keys) this.addProperty(record, key, now);
    for (const [name, before, after] of this.walk.privateDifferences(record)) {
      this.addField(record, name, before, after, () => this.inspector.setPrivate(value, name, before));
    }
  }

  addContent(record, now) {
    const reason = slots.obstacle(record.value, record.made);
    this.add({
      kind: record.kind,
      name: record.name,
      place: record.place(),
      before: short.content(record.made),
      after: short.content(now),
      can_restore: reason === '',
      restore: () => reason || void slots.putContentBack(record.value, record.made) || '',
    });
  }

  addWhole(record, now) {
    const putBack = () => {
      const keys = slots.differences(record.made.properties, slots.copy(record.value).properties);
      const isDone = keys.map((key) => slots.putPropertyBack(record.value, key, record.made));
      return isDone.every(Boolean) ? '' : 'a property cannot be set';
    };
    this.add({
      kind: record.kind,
      name: record.name,
      place: record.place(),
      before: short.properties(record.made.properties),
      after: short.properties(now.properties),
      restore: putBack,
    });
  }

  addProperty(record, key, now) {
    const putBack = () =>
      slots.putPropertyBack(record.value, key, record.made) ? '' : 'the property cannot be set';
    const before = shown(record.made.properties, key);
    const after = shown(now.properties, key);
    const name = typeof key === 'symbol' ? `[${String(key)}]` : key;
    this.add({ ...this.field(record, name), before, after, restore: putBack });
  }

  addField(record, name, before, after, putBack) {
    const values = { before: short.value(before), after: short.value(after) };
    this.add({ ...this.field(record, name), ...values, restore: () => void putBack() || '' });
  }

  field(record, name) {
    const kind = typeof record.value === 'function' ? 'class attribute' : record.kind;
    return { kind, name: record.child(name), place: record.place(name) };
  }

  add({ kind, name, place, before, after, can_restore = true, restore }) {
    const base = `${kind}|${place.replace(/:\d+$/, '')}|${name}`;
    let id = base;
    for (let number = 2; this.units.has(id); number++) id = `${base}#${number}`;
    this.units.set(id, { id, kind, name: short.cut(name, 120), place, before, after, can_restore, restore });
  }
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

module.exports = { State };

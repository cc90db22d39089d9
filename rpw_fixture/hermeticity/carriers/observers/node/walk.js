/** A breadth-first walk over the objects that the tool's variables reach. */
'use strict';

const Module = require('node:module');
const { types } = require('node:util');
const places = require('./places.js');
const short = require('./short.js');
const slots = require('./slots.js');
const { fileOf } = require('./roots.js');

const MOST_OBJECTS = 200_000;
const MOST_SLOTS = 2_000_000;
const LOOK_EVERY = 64;
const LONGEST_NAME = 200;

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** Classes of the language and of Node.js whose objects are the tool's data. */
const TRANSPARENT = new Set([Object, Array, Map, Set, Date, RegExp, Error, TypeError, RangeError, SyntaxError,
  require('node:events')]);

/** What is known of a class that is not the tool's. */
const UNKNOWN = { file: '', line: 0, hasPrivates: false, isOfNode: false };

/** One object that was found, and what it held. */
class ObjectRecord {
  /** @param from the root, its variable, and the object and field that hold this object */
  constructor(value, name, from, known) {
    Object.assign(this, { value, name, known }, from);
    this.kind = this.root.kind;
    this.made = slots.copy(value);
    const prototype = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
    this.isPlain = prototype === null || prototype === Object.prototype;
    this.privates = [];
  }

  child(name) {
    if (typeof name === 'string' && name.startsWith('[')) return `${this.name}${name}`;
    return /^#?[A-Za-z_$][\w$]*$/.test(name) ? `${this.name}.${name}` : `${this.name}[${short.item(name)}]`;
  }

  /** The line of a field if its class sets it, else of the variable from which it is reached. */
  place(field) {
    const holder = field === undefined ? this.holder : this.known;
    const name = field ?? this.field;
    const line = holder?.file && name ? places.ofField(holder.file, name, holder.line) : '';
    return line || this.root.place(this.variable);
  }
}

class ObjectWalk {
  constructor(inspector, baseline, budget) {
    Object.assign(this, { inspector, baseline, budget });
    this.records = [];
    this.reason = '';
    this.seen = new WeakSet();
    this.classes = new Map();
    this.slots = 0;
  }

  run(roots) {
    this.queue = [];
    for (const { root, values } of roots) this.addRoot(root, values);
    for (let at = 0; at < this.queue.length && !this.reason; at++) {
      this.visit(this.queue[at]);
      if (at % LOOK_EVERY === 0 && this.budget.isSpent) this.reason = 'looking took too long';
      if (this.records.length >= MOST_OBJECTS) this.reason = `more than ${MOST_OBJECTS} objects`;
      if (this.slots >= MOST_SLOTS) this.reason = `more than ${MOST_SLOTS} values`;
    }
    this.queue = null;
  }

  /** Add what more roots reach. */
  more(roots, budget) {
    this.budget = budget;
    this.run(roots);
  }

  addRoot(root, values) {
    for (const [name, value] of values) this.enqueue(value, name, { root, variable: name, field: null });
    const exported = root.exports?.();
    if (isObject(exported)) this.enqueue(exported, 'exports', { root, variable: 'exports', field: null });
  }

  enqueue(value, name, from) {
    if (!isObject(value) || this.seen.has(value) || this.baseline.has(value)) return;
    this.seen.add(value);
    if (slots.isOpaque(value) || short.isOf(value, Module) || this.isOfNode(value)) return;
    this.queue.push({ value, name: name.slice(0, LONGEST_NAME), from });
  }

  visit({ value, name, from }) {
    const known = this.classOf(typeof value === 'function' ? value : short.classOf(value));
    const record = new ObjectRecord(value, name, from, known);
    if (known.hasPrivates) record.privates = this.inspector.privates(value);
    this.records.push(record);
    this.slots += slots.size(record.made) + record.made.properties.size;
    this.enqueueChildren(record);
  }

  enqueueChildren(record) {
    const { made } = record;
    const from = (field) => ({ root: record.root, variable: record.variable, field, holder: record.known });
    const below = { ...from(record.field), holder: record.holder };
    if (made.type === 'array') made.content.forEach((each, at) => isObject(each) && this.enqueue(each, `${record.name}[${at}]`, below));
    if (made.type === 'set') for (const each of made.content) this.enqueue(each, `${record.name}{${short.item(each)}}`, below);
    if (made.type === 'map') {
      for (const [key, each] of made.content) {
        if (isObject(each)) this.enqueue(each, `${record.name}.get(${short.item(key)})`, below);
        if (isObject(key)) this.enqueue(key, `${record.name}.key(${short.item(key)})`, below);
      }
    }
    for (const [key, each] of made.properties) {
      if (isObject(each)) this.enqueue(each, record.child(typeof key === 'symbol' ? `[${String(key)}]` : key), from(key));
    }
    for (const [key, each] of record.privates) if (isObject(each)) this.enqueue(each, record.child(key), from(key));
  }

  /** The private fields of an object that differ now: name, before, after. */
  privateDifferences(record) {
    if (!record.privates.length) return [];
    const now = new Map(this.inspector.privates(record.value));
    return record.privates
      .filter(([name, value]) => !Object.is(now.get(name), value))
      .map(([name, value]) => [name, value, now.get(name)]);
  }

  /** Whether an object is of a class of Node.js, whose fields change with every read and write. */
  isOfNode(value) {
    if (typeof value === 'function' || types.isMap(value) || types.isSet(value) || ArrayBuffer.isView(value)) return false;
    const made = short.classOf(value);
    if (made === null || TRANSPARENT.has(made) || types.isNativeError(value)) return false;
    return this.baseline.has(made) || this.classOf(made).isOfNode;
  }

  /** What is known of a class: its file, and whether it or its bases have private fields. */
  classOf(made) {
    if (made === null || this.baseline.has(made)) return UNKNOWN;
    if (!this.classes.has(made)) {
      const text = Function.prototype.toString.call(made);
      const isClass = text.startsWith('class');
      const { url, line } = this.locationOf(made, !text.endsWith('{ [native code] }'), isClass);
      const base = Object.getPrototypeOf(made);
      const below = isClass && typeof base === 'function' ? this.classOf(base) : { hasPrivates: false };
      this.classes.set(made, {
        file: isClass ? fileOf(url) : '',
        line,
        hasPrivates: (isClass && /#[\w$]/.test(text)) || below.hasPrivates,
        isOfNode: url.startsWith('node:'),
      });
    }
    return this.classes.get(made);
  }

  /** Where a class stands; a function without methods is none. */
  locationOf(made, isSource, isClass) {
    const prototype = Reflect.getOwnPropertyDescriptor(made, 'prototype')?.value;
    const isUsed = isClass || (isObject(prototype) && Reflect.ownKeys(prototype).length > 1);
    return (isSource && isUsed && this.inspector.location(made)) || { url: '', line: 0 };
  }
}

module.exports = { ObjectWalk };

/** State outside of the tool's modules: environment, folder, listeners, globals, Node.js's modules. */
'use strict';

const EventEmitter = require('node:events');
const Module = require('node:module');
const { types } = require('node:util');
const short = require('./short.js');

/** What the language and Node.js define; `global` is another name of `globalThis`. */
const BUILTINS = Object.entries(Object.getOwnPropertyDescriptors(globalThis))
  .filter(([name, { value }]) => isObject(value) && !['globalThis', 'global', 'process'].includes(name))
  .map(([name]) => name);

/** To load these again prints a warning. */
const DEPRECATED = /^(_|punycode$|sys$)/;

/** A root without a file. */
class Root {
  file = '';

  constructor(kind, read, write) {
    Object.assign(this, { kind, read, change: write });
  }

  write(name, value) {
    try {
      return this.change(name, value) || '';
    } catch (error) {
      return error.message;
    }
  }

  place() {
    return '';
  }
}

function environment() {
  const write = (name, value) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  return new Root('environment', () => new Map(Object.entries(process.env)), write);
}

function single(kind, name, read, write) {
  return new Root(kind, () => new Map([[name, read()]]), (_name, value) => void write(value));
}

/** The data properties of an object that belongs to Node.js or to the language. */
class OwnProperties {
  kind = 'global';
  file = '';

  // Without functions for each object: the search for closures would look into all of them.
  constructor(object, prefix, isWanted = isAny) {
    Object.assign(this, { object, prefix, isWanted });
  }

  read() {
    const found = new Map();
    for (const key of Reflect.ownKeys(this.object)) {
      if (typeof key === 'symbol' || !this.isWanted(key)) continue;
      const descriptor = Reflect.getOwnPropertyDescriptor(this.object, key);
      if (descriptor && 'value' in descriptor) found.set(`${this.prefix}${key}`, descriptor.value);
    }
    return found;
  }

  write(name, value) {
    const key = name.slice(this.prefix.length);
    try {
      if (value === undefined) delete this.object[key];
      else this.object[key] = value;
      return Object.is(this.object[key], value) ? '' : 'the property cannot be set';
    } catch (error) {
      return error.message;
    }
  }

  place() {
    return '';
  }
}

function isAny() {
  return true;
}

function listeners(emitter, label) {
  const prefix = `${label} listeners of `;
  const read = () =>
    new Map(emitter.eventNames().map((event) => [`${prefix}${String(event)}`, new Listeners(emitter, event)]));
  const write = (name, value) => {
    const event = emitter.eventNames().find((each) => `${prefix}${String(each)}` === name) ?? value?.event;
    emitter.removeAllListeners(event);
    for (const each of value?.all ?? []) emitter.on(event, each);
  };
  return new Root('listener', read, write);
}

/** The listeners of one event, comparable. */
class Listeners {
  constructor(emitter, event) {
    this.event = event;
    this.all = emitter.rawListeners(event);
  }

  isSame(other) {
    return short.isOf(other, Listeners) && this.all.length === other.all.length
      && this.all.every((each, at) => each === other.all[at]);
  }

  toString() {
    return this.all.length === 1 ? '1 listener' : `${this.all.length} listeners`;
  }
}

/**
 * The standard streams that the tool has used so far. They are looked for in the heap: the getters of
 * `process` would make a stream, and change how the tool's pipe behaves.
 */
function streams(live) {
  const labels = ['stdin', 'stdout', 'stderr'];
  const isStandard = (each) => labels[Reflect.getOwnPropertyDescriptor(each, 'fd')?.value] !== undefined;
  const used = live.filter((each) => !types.isProxy(each) && short.isOf(each, EventEmitter) && isStandard(each));
  return used.map((each) => [each, `process.${labels[each.fd]}`]);
}

/** Names of the public modules of Node.js that are loaded. */
function loadedModules() {
  const loaded = process.moduleLoadList.map((each) => each.replace(/^NativeModule /, ''));
  return new Set(loaded.filter((name) => Module.builtinModules.includes(name) && !DEPRECATED.test(name)));
}

/** What the loaded modules of Node.js export. */
function moduleObjects() {
  return [...loadedModules()].map((name) => require(name));
}

/** Objects that belong to the language or to Node.js, each with what stands before its properties' names. */
function builtins() {
  const objects = BUILTINS.flatMap((name) => {
    const object = globalThis[name];
    const prototype = typeof object === 'function' ? [[object.prototype, `${name}.prototype.`]] : [];
    return [[object, `${name}.`], ...prototype];
  });
  const modules = [...loadedModules()].map((name) => [require(name), `${name}.`]);
  return [...objects, ...modules].filter(([object]) => isObject(object) && !types.isProxy(object));
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** All roots of this module; `live`: all live objects. */
function surroundings(live) {
  const used = streams(live);
  return [
    environment(),
    single('working directory', 'cwd', () => process.cwd(), (value) => process.chdir(value)),
    single('umask', 'umask', () => process.umask().toString(8).padStart(3, '0'), (value) => process.umask(parseInt(value, 8))),
    single('global', 'process.title', () => process.title, (value) => (process.title = value)),
    new OwnProperties(process, 'process.', (key) => !key.startsWith('_') && key !== 'env' && key !== 'title'),
    new OwnProperties(globalThis, 'globalThis.', (key) => !key.startsWith('rpw_fixture observer')),
    ...builtins().map(([object, prefix]) => new OwnProperties(object, prefix)),
    listeners(process, 'process'),
    ...used.map(([emitter, label]) => listeners(emitter, label)),
    ...used.map(([emitter, label]) => new OwnProperties(emitter, `${label}.`, (key) => key === 'write')),
  ];
}

module.exports = { surroundings, moduleObjects, Listeners };

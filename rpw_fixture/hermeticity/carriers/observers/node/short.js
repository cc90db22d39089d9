/** Short forms of values, made without running any code of the tool. */
'use strict';

const { types } = require('node:util');

const LONGEST = 80;
const LONGEST_ITEM = 30;
const ITEMS = 4;

function cut(text, longest = LONGEST) {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

/** `instanceof`, but no trap of a proxy runs; an object behind a proxy is of no class. */
function isOf(value, made) {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  for (let each = isObject ? value : null; each !== null; each = Object.getPrototypeOf(each)) {
    if (types.isProxy(each)) return false;
    if (each === made.prototype) return true;
  }
  return false;
}

/** The function by which an object was made, as far as its prototype says; null for none. */
function classOf(object) {
  const prototype = Object.getPrototypeOf(object);
  if (prototype === null || types.isProxy(prototype)) return null;
  const made = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  return typeof made === 'function' ? made : null;
}

function className(object) {
  const made = classOf(object);
  const name = made && Object.getOwnPropertyDescriptor(made, 'name')?.value;
  return typeof name === 'string' && name ? name : 'Object';
}

/** One value inside another: primitives in full, objects by their kind. */
function item(value) {
  if (typeof value === 'string') return cut(JSON.stringify(value), LONGEST_ITEM);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'function';
  if (typeof value !== 'object' || value === null) return String(value);
  if (types.isProxy(value)) return 'Proxy';
  if (Array.isArray(value)) return value.length ? `[${value.length}]` : '[]';
  if (ArrayBuffer.isView(value)) return `${className(value)}(${value.byteLength})`;
  if (types.isMap(value) || types.isSet(value)) return `${className(value)}(${value.size})`;
  const name = className(value);
  return name === 'Object' ? '{…}' : `${name} {…}`;
}

function list(items, size, open, close) {
  const shown = items.slice(0, ITEMS).join(', ');
  const more = size > ITEMS ? `, … ${size} in all` : '';
  return cut(`${open}${shown}${more}${close}`);
}

function key(name) {
  if (typeof name === 'symbol') return `[${String(name)}]`;
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : cut(JSON.stringify(name), LONGEST_ITEM);
}

/** The content of a container as it was copied. */
function content(copy) {
  if (copy.type === 'large') return `${copy.size} entries`;
  if (copy.type === 'array') return list(copy.content.slice(0, ITEMS).map(item), copy.content.length, '[', ']');
  if (copy.type === 'bytes') return bytes(copy);
  if (copy.type === 'date') return Number.isNaN(copy.content) ? 'Invalid Date' : new Date(copy.content).toISOString();
  if (copy.type === 'set') {
    return list([...firsts(copy.content.values())].map(item), copy.content.size, `Set(${copy.content.size}) {`, '}');
  }
  const pairs = [...firsts(copy.content.entries())].map(([name, value]) => `${item(name)} => ${item(value)}`);
  return list(pairs, copy.content.size, `Map(${copy.content.size}) {`, '}');
}

function* firsts(items) {
  let left = ITEMS;
  for (const each of items) {
    if (left-- === 0) return;
    yield each;
  }
}

function bytes(copy) {
  const text = Buffer.from(copy.content.subarray(0, 24)).toString('latin1');
  const shown = /^[\x20-\x7e\n]*$/.test(text) ? JSON.stringify(text) : Buffer.from(copy.content.subarray(0, 12)).toString('hex');
  return cut(`${copy.size} bytes: ${shown}${copy.size > 24 ? '…' : ''}`);
}

/** The properties of an object as they were copied. */
function properties(map) {
  const pairs = [...firsts(map.entries())].map(([name, value]) => `${key(name)}: ${item(value)}`);
  return list(pairs, map.size, '{', '}');
}

/** The first fields of an object; getters do not run. */
function fields(object) {
  const found = new Map();
  for (const name of Reflect.ownKeys(object)) {
    const descriptor = Reflect.getOwnPropertyDescriptor(object, name);
    found.set(name, descriptor && 'value' in descriptor ? descriptor.value : undefined);
  }
  return found;
}

function value(any) {
  if (typeof any === 'string') return cut(JSON.stringify(any));
  if (Array.isArray(any) && !types.isProxy(any)) {
    return list(any.slice(0, ITEMS).map(item), any.length, '[', ']');
  }
  if (typeof any === 'object' && any !== null && !types.isProxy(any) && className(any) === 'Object') {
    return properties(fields(any));
  }
  return cut(item(any));
}

module.exports = { isOf, content, properties, value, item, classOf, className, cut };

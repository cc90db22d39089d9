/**
 * What an object holds by itself: copy it, compare it, put it back into the same object.
 *
 * No getter, proxy or other code of the tool runs. Nested objects are other slots' matter.
 */
'use strict';

const { types } = require('node:util');

const MOST_BYTES = 1 << 20;
/** Of a larger container only the size is remembered. */
const MOST_ENTRIES = 200_000;
const { isArray } = Array;
const { ownKeys, getOwnPropertyDescriptor, defineProperty, deleteProperty } = Reflect;
const slice = Function.prototype.call.bind(Array.prototype.slice);
const mapEach = Function.prototype.call.bind(Map.prototype.forEach);
const mapSet = Function.prototype.call.bind(Map.prototype.set);
const mapClear = Function.prototype.call.bind(Map.prototype.clear);
const setEach = Function.prototype.call.bind(Set.prototype.forEach);
const setAdd = Function.prototype.call.bind(Set.prototype.add);
const setClear = Function.prototype.call.bind(Set.prototype.clear);
const sizeOfMap = Function.prototype.call.bind(Object.getOwnPropertyDescriptor(Map.prototype, 'size').get);
const sizeOfSet = Function.prototype.call.bind(Object.getOwnPropertyDescriptor(Set.prototype, 'size').get);
const getTime = Function.prototype.call.bind(Date.prototype.getTime);
const setTime = Function.prototype.call.bind(Date.prototype.setTime);

/** Own properties that every object of a kind has and that no tool changes. */
const DULL = new Set(['length', 'name', 'prototype', 'arguments', 'caller', 'constructor']);

function isOpaque(value) {
  return (
    types.isProxy(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isExternal(value) ||
    types.isModuleNamespaceObject(value) ||
    types.isGeneratorObject(value)
  );
}

function view(value) {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return types.isAnyArrayBuffer(value) ? new Uint8Array(value) : null;
}

/** The number of entries of an array, map or set; else 0. */
function entries(value) {
  if (isArray(value)) return value.length;
  if (types.isMap(value)) return sizeOfMap(value);
  return types.isSet(value) ? sizeOfSet(value) : 0;
}

/** The container's own content, apart from properties. */
function contentOf(value) {
  if (entries(value) > MOST_ENTRIES) return { type: 'large', size: entries(value), content: null };
  if (isArray(value)) return { type: 'array', content: slice(value) };
  if (types.isMap(value)) {
    const content = new Map();
    mapEach(value, (each, key) => content.set(key, each));
    return { type: 'map', content };
  }
  if (types.isSet(value)) {
    const content = new Set();
    setEach(value, (each) => content.add(each));
    return { type: 'set', content };
  }
  if (types.isDate(value)) return { type: 'date', content: getTime(value) };
  const bytes = view(value);
  if (bytes) return { type: 'bytes', size: bytes.length, content: bytes.slice(0, MOST_BYTES) };
  return { type: 'object', content: null };
}

function propertiesOf(value) {
  const found = new Map();
  for (const key of ownKeys(value)) {
    if (typeof value === 'function' && DULL.has(key)) continue;
    const descriptor = getOwnPropertyDescriptor(value, key);
    if (descriptor && 'value' in descriptor) found.set(key, descriptor.value);
  }
  return found;
}

/** Copy what an object holds, one level deep. */
function copy(value) {
  const made = contentOf(value);
  const hasIndexes = made.type === 'array' || made.type === 'bytes' || made.type === 'large';
  return { ...made, properties: hasIndexes ? new Map() : propertiesOf(value) };
}

function size(made) {
  if (made.type === 'map' || made.type === 'set') return made.content.size;
  if (made.type === 'array') return made.content.length;
  if (made.type === 'bytes' || made.type === 'large') return made.size;
  return made.properties.size;
}

function sameItems(one, other) {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (!Object.is(one[at], other[at])) return false;
  return true;
}

function samePairs(one, other) {
  if (one.size !== other.size) return false;
  const others = other.entries();
  for (const [key, value] of one) {
    const pair = others.next().value;
    if (!Object.is(pair[0], key) || !Object.is(pair[1], value)) return false;
  }
  return true;
}

function isSameContent(one, other) {
  if (one.type !== other.type) return false;
  if (one.type === 'large') return one.size === other.size;
  if (one.type === 'array') return sameItems(one.content, other.content);
  if (one.type === 'bytes') return one.size === other.size && Buffer.compare(one.content, other.content) === 0;
  if (one.type === 'map') return samePairs(one.content, other.content);
  if (one.type === 'set') return sameItems([...one.content], [...other.content]);
  return Object.is(one.content, other.content);
}

/** The keys whose values differ, are new, or are gone. */
function differences(one, other) {
  const changed = [];
  for (const [key, value] of one) {
    if (!other.has(key) || !Object.is(other.get(key), value)) changed.push(key);
  }
  for (const key of other.keys()) if (!one.has(key)) changed.push(key);
  return changed;
}

/** Put a container's content back into the same container. */
function putContentBack(value, made) {
  if (made.type === 'array') {
    value.length = made.content.length;
    for (let at = 0; at < made.content.length; at++) value[at] = made.content[at];
  } else if (made.type === 'map') {
    mapClear(value);
    for (const [key, each] of made.content) mapSet(value, key, each);
  } else if (made.type === 'set') {
    setClear(value);
    for (const each of made.content) setAdd(value, each);
  } else if (made.type === 'date') {
    setTime(value, made.content);
  } else if (made.type === 'bytes') {
    view(value).set(made.content);
  }
}

/** The reason for which a container's content cannot be put back, or "". */
function obstacle(value, made) {
  if (made.type === 'large') return `more than ${MOST_ENTRIES} entries`;
  if (made.type === 'array' && Object.isFrozen(value)) return 'the array is frozen';
  if (made.type !== 'bytes') return '';
  if (made.size > MOST_BYTES) return `more than ${MOST_BYTES} bytes`;
  return view(value).length === made.size ? '' : 'its size changed';
}

/** Set, or delete, one property as it was. */
function putPropertyBack(value, key, made) {
  if (!made.properties.has(key)) return deleteProperty(value, key);
  const now = getOwnPropertyDescriptor(value, key);
  const shape = now && 'value' in now ? now : { writable: true, enumerable: true, configurable: true };
  return defineProperty(value, key, { ...shape, value: made.properties.get(key) });
}

module.exports = {
  copy, size, differences, isOpaque, isSameContent, putContentBack, putPropertyBack, obstacle,
};

/** What grew since the mark: containers by name, and objects by their class. */
'use strict';

const { types } = require('node:util');
const short = require('./short.js');
const slots = require('./slots.js');

const MOST = 40;
const UNITS = { large: 'entries', array: 'entries', map: 'entries', set: 'entries', bytes: 'bytes', object: 'properties' };

/** How many live objects there are of each class of the tool, by its name. */
function countByClass(live, baseline) {
  const counts = new Map();
  for (const each of live) {
    if (typeof each === 'function' || types.isProxy(each)) continue;
    const made = short.classOf(each);
    if (made && !baseline.has(made)) counts.set(short.className(each), (counts.get(short.className(each)) ?? 0) + 1);
  }
  return counts;
}

function containers(records) {
  return records.flatMap((record) => {
    const now = slots.copy(record.value);
    const [before, after] = [slots.size(record.made), slots.size(now)];
    if (after <= before || !UNITS[now.type]) return [];
    return [{ kind: record.kind, name: record.name, place: record.place(), before, after, unit: UNITS[now.type] }];
  });
}

/** The size of a value that a variable holds: a text's, or a new container's. */
function sizeOf(value) {
  if (typeof value === 'string') return [value.length, 'characters'];
  if (Array.isArray(value)) return [value.length, 'entries'];
  if (types.isMap(value) || types.isSet(value)) return [slots.size(slots.copy(value)), 'entries'];
  return ArrayBuffer.isView(value) ? [value.byteLength, 'bytes'] : [0, ''];
}

function variables(roots) {
  return roots.flatMap(({ root, values }) => {
    const now = root.read();
    return [...values].flatMap(([name, value]) => {
      if (Object.is(now.get(name), value)) return [];
      const [before] = sizeOf(value);
      const [after, unit] = sizeOf(now.get(name));
      return after > before ? [{ kind: root.kind, name, place: root.place(name), before, after, unit }] : [];
    });
  });
}

function fields(records) {
  return records.flatMap((record) => {
    const now = slots.copy(record.value).properties;
    return [...record.made.properties].flatMap(([key, value]) => {
      if (typeof key === 'symbol' || Object.is(now.get(key), value)) return [];
      const [before] = sizeOf(value);
      const [after, unit] = sizeOf(now.get(key));
      return after > before ? [{ kind: record.kind, name: record.child(key), place: record.place(key), before, after, unit }] : [];
    });
  });
}

function classes(before, after) {
  if (!before) return [];
  return [...after]
    .filter(([name, count]) => count > (before.get(name) ?? 0))
    .map(([name, count]) => ({ kind: 'class', name, place: '', before: before.get(name) ?? 0, after: count, unit: 'instances' }));
}

/** Everything that grew, the largest growth of each kind first. */
function grown(roots, records, classesBefore, classesNow) {
  const byGrowth = (one, other) => other.after - other.before - (one.after - one.before);
  const held = [...variables(roots), ...containers(records), ...fields(records)].sort(byGrowth);
  return [...held.slice(0, MOST), ...classes(classesBefore, classesNow).sort(byGrowth).slice(0, MOST)];
}

module.exports = { countByClass, grown };

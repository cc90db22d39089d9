/** The line on which a variable or field is defined, found in the module's text. */
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const { readFileSync } = fs;
let root = process.cwd();
const LARGEST = 4 << 20;
const texts = new Map();

function lines(file) {
  if (!texts.has(file)) {
    let text = '';
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      // A module without a file: made at run time.
    }
    texts.set(file, text.length > LARGEST ? [] : text.split('\n'));
  }
  return texts.get(file);
}

/** Let places be relative to the input root; until then they are to the worker's first folder. */
function setRoot(folder) {
  root = folder;
}

/** A path as the action sees it. */
function shown(file) {
  const relative = path.relative(root, file);
  return relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function find(file, pattern, last = Infinity) {
  const all = lines(file);
  let found = 0;
  for (let at = 0; at < all.length; at++) {
    if (found && at + 1 > last) break;
    if (pattern.test(all[at])) {
      if (last === Infinity) return at + 1;
      found = at + 1;
    }
  }
  return found;
}

/** The first line that declares a module's variable; "" when there is no such file. */
function ofVariable(file, name, last = Infinity) {
  const word = `${escaped(name)}(?![\\w$])`;
  const declared = new RegExp(`(?:const|let|var|class|function\\*?)\\s+(?:[^=;(]*[,{\\[\\s])?${word}`);
  const used = new RegExp(`(?:^|[^\\w$.])${word}`);
  return at(file, find(file, declared, last) || find(file, used, last));
}

/** The line that gives a field its first value, from the line on where its class begins; else "". */
function ofField(file, name, first) {
  if (typeof name !== 'string') return '';
  const word = `${escaped(name)}(?![\\w$])`;
  const assigned = new RegExp(`(?:\\bthis\\.${word}\\s*=[^=]|(?:^|[\\s{;])(?:static\\s+)?${word}\\s*[=;])`);
  const found = lines(file).findIndex((line, index) => index + 1 >= first && assigned.test(line));
  return found < 0 ? '' : at(file, found + 1);
}

function at(file, line) {
  return lines(file).length ? `${shown(file)}:${line || 1}` : '';
}

function text(file) {
  return lines(file).join('\n');
}

module.exports = { ofVariable, ofField, setRoot, shown, text };

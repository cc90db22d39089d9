#!/usr/bin/env node
// One kind of leak in each function: the answer shows what an earlier request of the kind left.
'use strict';

const fs = require('node:fs');

const seen = [];
let header = '';
const table = {};
const byName = new Map();
const names = new Set();
const scratch = Buffer.alloc(8);
const pattern = /one|two/g;
const settings = { level: { header: '' } };

class Compiler {
  static last = '';
  #notes = [];
  #header = '';
  options = '';

  notes(text) {
    this.#notes.push(text);
    return this.#notes.slice(0, -1).join();
  }

  header(text) {
    const before = this.#header;
    this.#header = text;
    return before;
  }

  option(text) {
    const before = this.options;
    this.options = text;
    return before;
  }
}

const compiler = new Compiler();

function makeMemory() {
  let remembered = '';
  const all = [];
  return {
    swap(text) {
      const before = remembered;
      remembered = text;
      return before;
    },
    list(text) {
      all.push(text);
      return all.slice(0, -1).join();
    },
  };
}

const memory = makeMemory();
let later;

const kinds = {
  array: (text) => (seen.push(text), seen.slice(0, -1).join()),
  text: (text) => [header, (header = text)][0],
  table: (text) => [Object.keys(table).join(), (table[`${text}.txt`] = 1)][0],
  map: (text) => [[...byName.keys()].join(), byName.set(text, 1)][0],
  set: (text) => [[...names].join(), names.add(text)][0],
  buffer: (text) => [scratch.toString('latin1').replace(/\0/g, ''), scratch.write(text)][0],
  expression: (text) => (pattern.test(text) ? '' : 'a search that began too late'),
  nested: (text) => [settings.level.header, (settings.level.header = text)][0],
  static: (text) => [Compiler.last, (Compiler.last = text)][0],
  privateArray: (text) => compiler.notes(text),
  privateText: (text) => compiler.header(text),
  field: (text) => compiler.option(text),
  closureText: (text) => memory.swap(text),
  closureArray: (text) => memory.list(text),
  environment: (text) => [process.env.LEAK ?? '', (process.env.LEAK = text)][0],
  global: (text) => [globalThis.leak ?? '', (globalThis.leak = text)][0],
  prototype: (text) => [''.leak ?? '', (String.prototype.leak = text)][0],
  replaced: (text) => [fs.existsSync.leak ?? '', (fs.existsSync = Object.assign(() => true, { leak: text }))][0],
  listener: (text) => [process.rawListeners('leak').map((each) => each.text).join(),
    process.on('leak', Object.assign(() => 0, { text }))][0],
  folder: () => [process.cwd() === __dirname ? '' : process.cwd(), process.chdir('/')][0],
  umask: () => [process.umask() === 0o027 ? 'umask' : '', process.umask(0o027)][0],
  lazy: (text) => (later ??= require('./lazy.js'))(text),
  variables: () => [process.env.RPW_OBSERVER, process.env.NODE_OPTIONS].join(''),
};

const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [kind, text] = line.split(' ');
  const left = kinds[kind](text);
  process.stdout.write(`${text}${left ? ` after ${left}` : ''}\n`);
});

#!/usr/bin/env node
'use strict';

// Tablejson: makes JSON of a table; whole numbers keep all their digits.
const fs = require('node:fs');
const { createInterface } = require('node:readline');
const { dump } = require('./dump');

function parseCell(cell) {
  return /^-?\d+$/.test(cell) ? BigInt(cell) : cell;
}

function parseTable(text) {
  const [header, ...rows] = text.trimEnd().split('\n').map((line) => line.split(','));
  return rows.map((row) => Object.fromEntries(row.map((cell, at) => [header[at], parseCell(cell)])));
}

function tablejson(args) {
  const options = { numbers: 'exact', files: [] };
  for (const each of args) {
    if (each.startsWith('--numbers=')) options.numbers = each.slice('--numbers='.length);
    else options.files.push(each);
  }
  const [source, target] = options.files;
  fs.writeFileSync(target, dump(parseTable(fs.readFileSync(source, 'utf8')), options));
}

function handle(request) {
  let args = request.arguments ?? [];
  if (args[0]?.startsWith('@')) args = fs.readFileSync(args[0].slice(1), 'utf8').trim().split('\n');
  try {
    tablejson(args);
  } catch (error) {
    return { exitCode: 1, output: `${error.message}\n` };
  }
  return { exitCode: 0, output: '' };
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--persistent_worker') {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const request = JSON.parse(line);
    console.log(JSON.stringify({ ...handle(request), requestId: request.requestId ?? 0 }));
  });
} else {
  const { exitCode, output } = handle({ arguments: [first, ...rest] });
  process.stderr.write(output);
  process.exitCode = exitCode;
}

'use strict';

const PRAGMA = /^\/\/ @helper (\w+)$/gm;

/** Whether the file has a pragma at all; most have none. */
exports.hasPragma = (source) => PRAGMA.test(source);

/** The names of the helpers that a file wants. */
exports.helpersOf = (source) => [...new Set([...source.split('\n')].flatMap(nameIn))].sort();

function nameIn(line) {
  const words = line.split(' ');
  return words[0] === '//' && words[1] === '@helper' ? [words[2]] : [];
}

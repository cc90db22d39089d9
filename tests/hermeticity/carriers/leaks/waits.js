// A worker that reads synchronously: its event loop never turns.
const fs = require('node:fs');

const cache = new Map();

function readLine() {
  const byte = Buffer.alloc(1);
  let line = '';
  while (fs.readSync(0, byte) === 1 && byte[0] !== 10) line += byte.toString('latin1');
  return line;
}

function main() {
  let last = '';
  const all = [];
  const kinds = {
    list: (text) => (all.push(text), all.slice(0, -1).join()),
    module: (text) => [[...cache.keys()].join(), cache.set(text, 1)][0],
  };
  for (let line; (line = readLine()) !== ''; ) {
    const [kind, text] = line.split(' ');
    const left = kind === 'local' ? last : kinds[kind](text);
    last = text;
    fs.writeSync(1, `${text}${left ? ` after ${left}` : ''}\n`);
  }
}

main();

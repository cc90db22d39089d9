'use strict';

// Mdlite: makes HTML of paragraphs with *strong* words and `code`.
const fs = require('node:fs');
const readline = require('node:readline');
const { escapeText, highlight } = require('./text');

const STRONG = /\*(\w+)\*/g;
const CODE = /`([^`]+)`/g;

let requests = 0;
let lastSource;

function convert(text) {
  // String.replace sets lastIndex of a global expression to 0, before and after.
  return text
    .trim()
    .split(/\n\n+/)
    .map((each) => escapeText(each).replace(STRONG, '<b>$1</b>'))
    .map((each) => each.replace(CODE, (_, code) => `<code>${highlight(code)}</code>`))
    .map((each) => `<p>${each}</p>\n`)
    .join('');
}

function answer(request) {
  requests += 1;
  let args = request.arguments;
  try {
    if (args[0].startsWith('@')) args = fs.readFileSync(args[0].slice(1), 'utf8').trim().split('\n');
    const [source, output] = args;
    lastSource = source;
    fs.writeFileSync(output, convert(fs.readFileSync(source, 'utf8')));
  } catch (error) {
    return { exitCode: 1, output: `mdlite: ${error.message}\n`, requestId: request.requestId };
  }
  return { exitCode: 0, requestId: request.requestId };
}

// For a developer who sends the signal to a worker that hangs.
process.on('SIGUSR2', () => console.error(`${requests} requests, the last one is ${lastSource}`));

if (process.argv.includes('--persistent_worker')) {
  readline
    .createInterface({ input: process.stdin })
    .on('line', (line) => console.log(JSON.stringify(answer(JSON.parse(line)))))
    .on('close', () => process.exit(0));
} else {
  const { exitCode, output = '' } = answer({ arguments: process.argv.slice(2) });
  process.stderr.write(output);
  process.exit(exitCode);
}

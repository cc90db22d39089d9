'use strict';

// Minicss: removes what a style sheet does not need.
const fs = require('node:fs');
const readline = require('node:readline');
const compiler = require('./compiler');
const { addBanner } = require('./plugins');

function compile(args) {
  const options = { banner: null, files: [] };
  for (let at = 0; at < args.length; at++) {
    if (args[at] === '--banner') options.banner = args[++at];
    else options.files.push(args[at]);
  }
  if (options.banner) addBanner(compiler, options.banner);
  const [source, output] = options.files;
  fs.writeFileSync(output, compiler.compile(fs.readFileSync(source, 'utf8')));
}

function answer({ arguments: args, requestId = 0 }) {
  const [only] = args;
  if (only.startsWith('@')) args = fs.readFileSync(only.slice(1), 'utf8').trimEnd().split('\n');
  try {
    compile(args);
  } catch (error) {
    return { exitCode: 1, output: `minicss: ${error.message}\n`, requestId };
  }
  return { exitCode: 0, output: '', requestId };
}

if (process.argv.at(-1) === '--persistent_worker') {
  const requests = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
  requests.on('line', (line) => process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`));
} else {
  const { exitCode, output } = answer({ arguments: process.argv.slice(2) });
  process.stderr.write(output);
  process.exitCode = exitCode;
}

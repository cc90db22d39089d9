'use strict';

// Annotate: strips comments, and adds what a pragma of the file asks for.
const fs = require('fs');
const { hasPragma, helpersOf } = require('./lib/pragmas');

function transform(source) {
  const code = source.split('\n').filter((line) => line.trim() && !line.startsWith('//'));
  if (!hasPragma(source)) return code;
  return [...helpersOf(source).map((name) => `import { ${name} } from 'helpers';`), ...code];
}

function run(args) {
  if (args[0].startsWith('@')) return run(fs.readFileSync(args[0].slice(1), 'utf8').split('\n'));
  const [source, output] = args;
  const lines = transform(fs.readFileSync(source, 'utf8'));
  fs.writeFileSync(output, lines.map((line) => `${line}\n`).join(''));
}

function answer(request) {
  const response = { exitCode: 0, output: '', requestId: request.requestId || 0 };
  try {
    run(request.arguments);
  } catch (error) {
    response.exitCode = 1;
    response.output = String(error);
  }
  return response;
}

function serve() {
  let pending = '';
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (chunk) => {
    const lines = (pending + chunk).split('\n');
    pending = lines.pop();
    for (const line of lines) process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`);
  });
}

if (process.argv[2] === '--persistent_worker') {
  serve();
} else {
  const { exitCode, output } = answer({ arguments: process.argv.slice(2) });
  process.stderr.write(output);
  process.exit(exitCode);
}

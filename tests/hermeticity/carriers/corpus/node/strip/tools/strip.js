'use strict';

// Strip: leaves out what is not for the mode that is built (`//#if MODE` … `//#end`).
const fs = require('fs');
const presets = require('mode-presets');

function parseArguments(args) {
  const options = {};
  for (let at = 0; at < args.length; at += 2) options[args[at].replace(/^--/, '')] = args[at + 1];
  return options;
}

function strip(text, mode) {
  let isKept = true;
  const lines = [`// ${presets.describe()}`];
  for (const line of text.split('\n')) {
    const [word, wanted] = line.trim().split(' ');
    if (word === '//#if') isKept = wanted === mode;
    else if (word === '//#end') isKept = true;
    else if (isKept && line.trim()) lines.push(line);
  }
  return lines.join('\n') + '\n';
}

function compile(args) {
  const { mode, source, output } = parseArguments(args);
  if (mode) process.env.BUILD_MODE = mode;
  fs.writeFileSync(output, strip(fs.readFileSync(source, 'utf8'), presets.mode()));
}

function respond(request) {
  let status = { exitCode: 0 };
  try {
    compile(request.arguments.flatMap((each) => (each[0] === '@' ? readLines(each.slice(1)) : [each])));
  } catch (error) {
    status = { exitCode: 1, output: error.stack };
  }
  return { ...status, requestId: request.requestId };
}

function readLines(file) {
  return fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);
}

async function main() {
  const startup = process.argv.slice(2);
  if (!startup.includes('--persistent_worker')) {
    const { exitCode, output = '' } = respond({ arguments: startup });
    process.stderr.write(output);
    process.exit(exitCode);
  }
  let buffer = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    buffer += chunk;
    for (let end; (end = buffer.indexOf('\n')) >= 0; buffer = buffer.slice(end + 1)) {
      console.log(JSON.stringify(respond(JSON.parse(buffer.slice(0, end)))));
    }
  }
}

main();

/** The persistent-worker protocol in JSON: one request at a time, told apart by their braces. */
'use strict';

/** Cuts a stream of bytes into JSON objects; neither newlines nor the size of reads matter. */
class ObjectSplitter {
  constructor() {
    this.text = [];
    this.depth = 0;
    this.inText = this.escaped = false;
  }

  *push(chunk) {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (!this.closes(chunk[at])) continue;
      yield Buffer.concat([...this.text, chunk.subarray(start, at + 1)]);
      this.text = [];
      start = at + 1;
    }
    this.text.push(chunk.subarray(start));
  }

  closes(byte) {
    if (this.inText) {
      if (this.escaped) this.escaped = false;
      else if (byte === 0x5c) this.escaped = true;
      else if (byte === 0x22) this.inText = false;
    } else if (byte === 0x22) this.inText = true;
    else if (byte === 0x7b) this.depth++;
    else if (byte === 0x7d) return --this.depth === 0;
    return false;
  }
}

/** Answer requests until stdin ends. `run` takes the arguments, and throws what users should read. */
function serve(run) {
  console.log = console.error; // stdout belongs to the responses
  const splitter = new ObjectSplitter();
  process.stdin.on('data', (chunk) => {
    for (const text of splitter.push(chunk)) {
      const request = JSON.parse(text);
      if (request.cancel) continue; // it is about a request that is answered already
      const response = { exitCode: 0, output: '', requestId: request.requestId || 0 };
      try {
        run(request.arguments || []);
      } catch (error) {
        response.exitCode = 1;
        response.output = `bundle: ${error.message}\n`;
      }
      process.stdout.write(`${JSON.stringify(response)}\n`);
    }
  });
}

module.exports = { serve };

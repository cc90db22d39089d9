import fs from 'node:fs';

const IMPORT = /^import '([^']+)';$/;

export function bundle(entry, resolve) {
  const done = new Set();
  const parts = [];

  function add(file) {
    if (done.has(file)) return;
    done.add(file);
    const own = [];
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
      const match = IMPORT.exec(line);
      if (match) add(resolve(match[1], file));
      else if (line.trim()) own.push(line);
    }
    parts.push(`// ${file}`, ...own);
  }

  add(entry);
  return parts.join('\n') + '\n';
}

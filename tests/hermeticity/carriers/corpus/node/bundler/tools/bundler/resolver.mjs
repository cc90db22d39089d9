import fs from 'node:fs';
import path from 'node:path';

/** A function from an import and its importer to a file. */
export function createResolver({ extensions }) {
  const found = new Map();

  function search(base) {
    for (const extension of ['', ...extensions]) {
      const file = base + extension;
      if (fs.existsSync(file) && fs.statSync(file).isFile()) return file;
    }
    throw new Error(`${base} was not found`);
  }

  return function resolve(specifier, importer) {
    // The disk is slow, and modules import the same few things again and again.
    let file = found.get(specifier);
    if (file === undefined) {
      file = search(path.posix.join(path.posix.dirname(importer), specifier));
      found.set(specifier, file);
    }
    return file;
  };
}

import { createHash } from 'node:crypto';

/** The lines of each word; the same text gives the same object. */
export class Index {
  static #byDigest = new Map();
  static made = 0;

  #lines = new Map();
  #encoded;

  static of(text) {
    const digest = createHash('sha256').update(text).digest('hex');
    let index = Index.#byDigest.get(digest);
    if (!index) {
      index = new Index(text);
      if (Index.#byDigest.size >= 50) Index.#byDigest.delete(Index.#byDigest.keys().next().value);
      Index.#byDigest.set(digest, index);
    }
    return index;
  }

  constructor(text) {
    Index.made += 1;
    text.split('\n').forEach((line, at) => {
      for (const word of line.split(' ').filter(Boolean)) this.#add(word, at + 1);
    });
  }

  #add(word, line) {
    if (!this.#lines.has(word)) this.#lines.set(word, new Set());
    this.#lines.get(word).add(line);
  }

  /** Text, made when it is first asked for. */
  encode() {
    this.#encoded ??= [...this.#lines.keys()]
      .sort()
      .map((word) => `${word} ${[...this.#lines.get(word)].join(' ')}\n`)
      .join('');
    return this.#encoded;
  }
}

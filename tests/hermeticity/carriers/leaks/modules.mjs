import { bump, shared } from './shared.mjs';

let count = '';
const text = [];

const kinds = {
  variable: (each) => [count, (count = each)][0],
  items: (each) => (text.push(each), text.slice(0, -1).join()),
  imported: (each) => [shared.value, (shared.value = each)][0],
  hidden: (each) => bump(each),
};

process.stdin.setEncoding('utf8');
for await (const chunk of process.stdin) {
  const [kind, each] = chunk.trim().split(' ');
  const left = kinds[kind](each);
  process.stdout.write(`${each}${left ? ` after ${left}` : ''}\n`);
}

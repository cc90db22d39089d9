export const shared = { value: '' };
let hidden = '';

export function bump(text) {
  const before = hidden;
  hidden = text;
  return before;
}

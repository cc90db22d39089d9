// Reads the evidence of a finding: pieces of text, differences of lines, differences of bytes.

const BYTES = /^(.*): first difference at byte (\d+): (.*?) \((.*?)\), (.*?) \((.*?)\); (\d+) and (\d+) bytes$/;

// Returns the pieces of an evidence in order.
export function pieces(evidence) {
  const lines = evidence.split("\n");
  const found = [];
  let text = [];
  const flush = () => {
    if (text.some((each) => each.trim())) found.push({ kind: "text", text: text.join("\n") });
    text = [];
  };
  for (let index = 0; index < lines.length; index += 1) {
    const inBytes = BYTES.exec(lines[index]);
    if (inBytes) {
      flush();
      found.push(ofBytes(inBytes));
    } else if (/^\s*--- /.test(lines[index]) && /^\s*\+\+\+ /.test(lines[index + 1] || "")) {
      const path = (text.at(-1) || "").endsWith(":") ? text.pop().slice(0, -1).trim() : "";
      flush();
      const end = endOfDifference(lines, index + 2);
      found.push(ofLines(path, lines.slice(index, end)));
      index = end - 1;
    } else text.push(lines[index]);
  }
  flush();
  return found;
}

function ofBytes([, path, at, left, before, right, after, oldSize, newSize]) {
  return { kind: "bytes", path, at: Number(at), left, right, before, after, sizes: [Number(oldSize), Number(newSize)] };
}

function endOfDifference(lines, from) {
  const indent = /^\s*/.exec(lines[from - 1])[0];
  let index = from;
  while (index < lines.length && lines[index].startsWith(indent) && /^[-+ @]/.test(lines[index].slice(indent.length))) index += 1;
  return index;
}

function ofLines(path, lines) {
  const indent = /^\s*/.exec(lines[0])[0].length;
  const [left, right, ...rest] = lines.map((each) => each.slice(indent));
  return { kind: "lines", path, left: left.slice(4), right: right.slice(4), rows: paired(rest) };
}

// Puts removed and added lines of one place beside each other.
export function paired(lines) {
  const rows = [];
  let removed = [];
  let added = [];
  const flush = () => {
    for (let index = 0; index < Math.max(removed.length, added.length); index += 1) {
      rows.push({ left: removed[index] ?? null, right: added[index] ?? null, same: false });
    }
    [removed, added] = [[], []];
  };
  for (const line of lines) {
    if (line.startsWith("-")) removed.push(line.slice(1));
    else if (line.startsWith("+")) added.push(line.slice(1));
    else {
      flush();
      if (line.startsWith("@@")) rows.push({ gap: line });
      else rows.push({ left: line.slice(1), right: line.slice(1), same: true });
    }
  }
  flush();
  return rows;
}

// Returns the printable text of bytes written as hex.
export function printable(hex) {
  return hex.split(" ").map((each) => {
    const code = Number.parseInt(each, 16);
    return code >= 32 && code < 127 ? String.fromCharCode(code) : "·";
  }).join("");
}

// Numbers as people read them, and the few statistics that pages need.

export function seconds(value) {
  if (value === null || value === undefined) return "unknown";
  if (value < 0.0095) return `${(value * 1000).toFixed(value < 0.00095 ? 2 : 1)} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(value % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB"];
  let number = value;
  let unit = 0;
  while (Math.abs(number) >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? number : number.toFixed(number < 10 ? 1 : 0)} ${units[unit]}`;
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`;
}

export function counted(count, noun, plural = `${noun}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
}

export function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(low, high));
}

// Returns a step of 1, 2 or 5 times a power of ten, so that about `count` of them fit into `span`.
export function niceStep(span, count) {
  const raw = Math.max(span, 1e-9) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((each) => each * power >= raw * 0.999);
  return factor * power;
}

// Returns the median slope over all pairs of values, per step, as the checks compute it.
export function theilSen(values) {
  const slopes = [];
  for (let right = 1; right < values.length; right += 1) {
    for (let left = 0; left < right; left += 1) {
      slopes.push((values[right] - values[left]) / (right - left));
    }
  }
  return median(slopes);
}

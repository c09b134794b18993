const unitsMs = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** The two largest units, rounded down: `59m`, `1h 5m`, `3d 2h`, `45s`; below a second `0s`. */
export function formatDuration(durationMs: number): string {
  let restMs = Math.max(0, durationMs);
  const parts: string[] = [];
  for (const [unit, unitMs] of unitsMs) {
    const count = Math.floor(restMs / unitMs);
    restMs -= count * unitMs;
    if (count > 0 || parts.length > 0) parts.push(`${count}${unit}`);
  }
  const largest = parts.slice(0, 2).filter((part) => !part.startsWith("0"));
  return largest.length > 0 ? largest.join(" ") : "0s";
}

/** `512 B`, `12.4 MiB`: of the largest unit of which there is one at least. */
export function formatBytes(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let text = `${bytes} B`;
  let amount = bytes;
  for (const unit of units) {
    amount /= 1024;
    if (amount < 1) break;
    text = `${amount.toFixed(1)} ${unit}`;
  }
  return text;
}

/** `1,000,000`. By hand: `toLocaleString` has 4 MiB of ICU's tables read, which stay resident. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** `1 failure`, `2 failures` */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

const WIDTH = 24;

/** `[######----]  42 %  what   12 times real time, 3 min left`; cut to `columns`. */
export function progressBar(fraction: number, what: string, columns: number): string {
  const share = Math.min(1, Math.max(0, fraction));
  const done = Math.round(share * WIDTH);
  const bar = `[${'#'.repeat(done)}${'-'.repeat(WIDTH - done)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
  return `${bar}  ${what}`.slice(0, Math.max(1, columns - 1));
}

/** `40 s`, `3 min`, `2 h 05 min`. */
export function longTime(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** How far something is, told to whoever watches. */
export type Tell = (fraction: number, what: string) => void;

/**
 * One line on a terminal that is written over; elsewhere a line now and then, so that a log says where it was.
 *
 * Call it with 1 and nothing to say to take the line away.
 */
export function teller(stream: NodeJS.WriteStream = process.stderr, every = 15_000): Tell {
  let told = -Infinity;
  return (fraction, what) => {
    if (stream.isTTY) {
      stream.write(what === '' ? '\r\x1b[2K' : `\r\x1b[2K${progressBar(fraction, what, stream.columns || 80)}`);
      return;
    }
    const now = performance.now();
    if (what === '' || now - told < every) return;
    told = now;
    stream.write(`${progressBar(fraction, what, 160)}\n`);
  };
}

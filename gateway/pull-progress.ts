import { sizeText } from '../models/store/free-space.ts';
import type { Item } from '../models/store/pull.ts';

/** Milliseconds over which speed is measured. */
const WINDOW = 5_000;
const REDRAW = 120;
/** Milliseconds between two lines where there is no terminal to draw on. */
const QUIET = 5_000;
const BAR = 24;

/** Where a pull is as a whole. */
export interface Standing {
  readonly have: number;
  /** Bytes of all files, as far as they are known. */
  readonly total: number;
  /** Bytes per second, once it is known. */
  readonly speed: number | undefined;
}

const clockFace = (seconds: number) => {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  const tail = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
};
const bar = (fraction: number) => '█'.repeat(Math.floor(fraction * BAR)).padEnd(BAR, '░');
const share = (have: number, total: number) => (total > 0 ? Math.min(1, have / total) : 0);
const percent = (fraction: number) => `${Math.floor(fraction * 100)} %`.padStart(5);

/** How far all is: `1.2 GB of 3.1 GB  38 %  12 MB/s  2:38 left`. */
export function standing({ have, total, speed }: Standing): string {
  const facts = [`${sizeText(have)} of ${sizeText(total)}`, percent(share(have, total)).trim()];
  if (speed !== undefined) facts.push(`${sizeText(Math.round(speed))}/s`);
  if (speed !== undefined && speed > 0 && total > have) facts.push(`${clockFace((total - have) / speed)} left`);
  return facts.join('  ');
}

/** The picture of a pull on a terminal: a bar for each file that is coming, and one for all. */
export function picture(items: readonly Item[], now: Standing, columns: number): string[] {
  const coming = items.filter(({ state }) => state === 'coming');
  const rows = coming.map((item) => {
    const { have, total, note } = item;
    const facts = note || (total === undefined ? sizeText(have) : `${sizeText(have)} of ${sizeText(total)}`);
    const drawn =
      total === undefined ? ' '.repeat(BAR + 6) : `${bar(share(have, total))} ${percent(share(have, total))}`;
    return `  ${drawn}  ${item.card.name}: ${item.file.name}  ${facts}`;
  });
  const done = items.filter(({ state }) => state === 'done').length;
  rows.push(`  ${bar(share(now.have, now.total))} ${standing(now)}  ${done} of ${items.length} files`);
  return rows.map((row) => (row.length < columns ? row : `${row.slice(0, Math.max(1, columns - 2))}…`));
}

/** Bytes per second over the last seconds, from readings of what is there. */
export class Speed {
  #readings: { at: number; have: number }[] = [];

  /** @param at milliseconds */
  read(at: number, have: number): number | undefined {
    this.#readings.push({ at, have });
    // One reading from before the window stays, so that the window is always covered.
    while (this.#readings.length > 2 && (this.#readings[1]?.at ?? at) < at - WINDOW) this.#readings.shift();
    const first = this.#readings[0];
    if (!first || at - first.at < 500) return undefined;
    return Math.max(0, ((have - first.have) / (at - first.at)) * 1_000);
  }
}

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows a pull while it runs: bars on a terminal, a line now and then elsewhere. */
export class PullProgress implements Disposable {
  readonly #items: readonly Item[];
  readonly #out: Output;
  readonly #speed = new Speed();
  readonly #timer: NodeJS.Timeout;
  #drawn = 0;

  constructor(items: readonly Item[], out: Output) {
    this.#items = items;
    this.#out = out;
    this.#speed.read(performance.now(), this.#standing().have);
    this.#timer = setInterval(() => this.#show(), out.isTTY ? REDRAW : QUIET);
  }

  /** Writes a line that stays. */
  say(text: string): void {
    this.#clear();
    this.#out.write(`${text}\n`);
    if (this.#out.isTTY) this.#show();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#clear();
  }

  #standing(): Standing {
    const total = this.#items.reduce((sum, item) => sum + Math.max(item.total ?? 0, item.have), 0);
    const have = this.#items.reduce((sum, item) => sum + item.have, 0);
    return { have, total, speed: undefined };
  }

  #show(): void {
    const now = this.#standing();
    const standingNow = { ...now, speed: this.#speed.read(performance.now(), now.have) };
    if (!this.#out.isTTY) {
      const notes = this.#items
        .filter(({ note }) => note)
        .map(({ card, file, note }) => `${card.name}: ${file.name}: ${note}`);
      this.#out.write(`${[standing(standingNow), ...notes].join('; ')}\n`);
      return;
    }
    this.#clear();
    const rows = picture(this.#items, standingNow, this.#out.columns || 80);
    this.#out.write(`${rows.join('\n')}\n`);
    this.#drawn = rows.length;
  }

  #clear(): void {
    if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }
}

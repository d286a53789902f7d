import { at, ms, seconds } from '../media/time.ts';
import { follow, together } from './cue-layout.ts';
import { type Caption, type Look, type Shown, vttBlock, vttHeader, whole } from './webvtt.ts';

/** How much later than its voice a caption may come so that it does not lie over one that is written already. */
const LATER = seconds(1.5);
/** A caption that came later is seen for this long. */
const SHORTEST = ms(833);
/** Captions that may still be on show when another comes. */
const ON_SHOW = 8;

/**
 * Writes captions of one language while they are being made, each once, in order of their start: what is written stays.
 *
 * A caption waits until it is known what follows it, or for `patience`: then nothing does.
 */
export class LiveVtt {
  readonly #look: Look;
  readonly #patience: number;
  readonly #most: number;
  /** In order of their start. */
  #waiting: Waiting[] = [];
  #last: Shown[] = [];
  readonly #given = new Set<string>();
  #lost = 0;

  /**
   * @param patience how long a caption waits, at most, to learn what follows it (µs of whatever clock `now` is of)
   * @param most captions that may wait
   */
  constructor(look: Look, { patience, most }: { readonly patience: number; readonly most: number }) {
    this.#look = look;
    this.#patience = patience;
    this.#most = most;
  }

  /** What the file begins with: colours for those who are likely to be heard, since none can follow. */
  header(speakers: readonly string[]): string {
    return vttHeader(speakers, this.#look);
  }
  /** Captions that never came out, since too many waited. */
  get lost(): number {
    return this.#lost;
  }

  /** Takes a caption, draft or final. */
  push(cue: Caption, now: number): void {
    if (this.#given.has(cue.id)) return;
    const before = this.#waiting.find((one) => one.cue.id === cue.id);
    const rest = this.#waiting.filter((one) => one !== before);
    if (cue.text.trim() === '') {
      this.#waiting = rest;
      return;
    }
    const since = !cue.draft && before?.cue.draft !== false ? now : (before?.since ?? now);
    this.#waiting = [...rest, { cue: whole(cue), since }].sort((a, b) => a.cue.start - b.cue.start);
    while (this.#waiting.length > this.#most) {
      this.#waiting.shift();
      this.#lost += 1;
    }
  }

  /** What can be written by now. */
  take(now: number): string {
    let text = '';
    for (;;) {
      const [first, next] = this.#waiting;
      if (!first) return text;
      const { cue, since } = first;
      const waited = now - since >= this.#patience;
      // A draft holds up what follows for as long as a caption that follows would have waited, and is then passed over.
      if (cue.draft) {
        const ready = this.#waiting.find((one) => !one.cue.draft && now - one.since >= this.#patience);
        if (!ready) return text;
        text += this.#write(ready, undefined);
      } else if (next || waited) text += this.#write(first, next?.cue);
      else return text;
    }
  }

  /** Nothing follows. */
  end(): string {
    const rest = this.#waiting.filter(({ cue }) => !cue.draft);
    return rest.map((one, n) => this.#write(one, rest[n + 1]?.cue)).join('');
  }

  #write(one: Waiting, next: Shown | undefined): string {
    this.#waiting = this.#waiting.filter((other) => other !== one);
    const cue = unhurried(one.cue, this.#last);
    const pair = [cue];
    if (next) follow(pair, next.start < cue.start ? { ...next, start: cue.start } : next);
    const shown = pair[0] ?? cue;
    this.#last = [...this.#last, shown].slice(-ON_SHOW);
    this.#given.add(shown.id);
    const [oldest] = this.#given.keys();
    if (this.#given.size > 4 * this.#most && oldest !== undefined) this.#given.delete(oldest);
    return `\n${vttBlock(shown, this.#look)}`;
  }
}

/** A caption behind those that are written and cannot be shortened any more: it comes later, as far as it may. */
function unhurried(cue: Shown, before: readonly Shown[]): Shown {
  let start: number = Math.max(0, cue.start, before.at(-1)?.start ?? 0);
  const most = Math.max(cue.start, Math.min(cue.start + LATER, cue.end - SHORTEST));
  for (const one of before) if (!together(one, cue)) start = Math.max(start, Math.min(one.end, most));
  return { ...cue, start: at(start), end: at(Math.max(cue.end, start + 1_000)) };
}

interface Waiting {
  readonly cue: Shown;
  /** When it came in its final form, or at all. */
  readonly since: number;
}

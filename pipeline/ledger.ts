import { type ClockTime, type MediaTime, type Span, between } from '../media/time.ts';
import type { Clip, Fit, Language, Line, Utterance, UtteranceId } from './domain.ts';

/** Everything measured about one line. Times in microseconds. */
export interface LineRecord {
  readonly utterance: string;
  readonly language: string;
  readonly speaker: string;
  readonly source: string;
  /** Empty when it was never translated. */
  readonly text: string;
  /** Source interval, media time. */
  readonly start: number;
  readonly end: number;
  /** Where the dub is, media time; `null` when the line was left to its caption. */
  readonly dub: { readonly start: number; readonly end: number } | null;
  /**
   * `dubbed` whole, `trimmed` in part, `late` at the timeline, `expired` on the way (no time or no room), `refused` (an
   * engine could not, or the dub did not fit anywhere).
   */
  readonly outcome: 'dubbed' | 'trimmed' | 'late' | 'expired' | 'refused';
  readonly speed: number | null;
  readonly rung: string | null;
  readonly trimmedWords: number;
  /** What fitting did; `null` when the line was left to its caption. */
  readonly fit: Fit | null;
  /** Clock time less the clock time at which `end` came in: how long after the words were spoken each step was done. */
  readonly after: {
    readonly recognised: number;
    readonly translated: number | null;
    readonly synthesised: number | null;
    readonly placed: number | null;
  };
  /** Clock time between `placed` and the clip's deadline; negative when it came too late. `null` without a deadline. */
  readonly slack: number | null;
}

/** Lines by outcome; each is counted once. */
export interface Totals {
  readonly dubbed: number;
  readonly trimmed: number;
  readonly late: number;
  readonly captionOnly: number;
}

/** A line that is over, with what became of it. */
export interface Settled {
  readonly record: LineRecord;
  readonly line: Line | undefined;
  readonly clip: Clip | undefined;
}

export interface LedgerOptions {
  readonly deadline?: ((t: MediaTime) => ClockTime) | undefined;
  readonly onSettled: (settled: Settled) => void;
}

interface Entry {
  readonly utterance: Utterance;
  readonly language: Language;
  readonly recognised: ClockTime;
  line: Line | undefined;
  clip: Clip | undefined;
  translated: ClockTime | undefined;
  synthesised: ClockTime | undefined;
  placed: ClockTime | undefined;
}

/** Lines under way in one language. More than this and the oldest is given up. */
const UNDER_WAY = 256;

/**
 * One account per line and language, from the words to the dub, kept by those who pass it on.
 *
 * Every line that was opened is settled exactly once: when its dub is placed or refused, when it is lost, when its
 * deadline or a later line passes it, or at the end.
 */
export class Ledger {
  readonly #deadline: ((t: MediaTime) => ClockTime) | undefined;
  readonly #onSettled: (settled: Settled) => void;
  readonly #arrivals = new Arrivals();
  readonly #open = new Map<Language, Map<UtteranceId, Entry>>();
  readonly #totals = { dubbed: 0, trimmed: 0, late: 0, captionOnly: 0 };

  constructor({ deadline, onSettled }: LedgerOptions) {
    this.#deadline = deadline;
    this.#onSettled = onSettled;
  }

  get totals(): Totals {
    return { ...this.#totals };
  }

  /** The programme came in up to `end`. */
  arrived(end: MediaTime, now: ClockTime): void {
    this.#arrivals.add(end, now);
  }
  /** How long ago `t` came in. */
  since(t: MediaTime, now: ClockTime): Span {
    return between(this.arrival(t) ?? now, now);
  }
  /** When `t` came in, as far as it is remembered. */
  arrival(t: MediaTime): ClockTime | undefined {
    return this.#arrivals.of(t);
  }

  said(utterance: Utterance, language: Language, now: ClockTime): void {
    let open = this.#open.get(language);
    if (!open) this.#open.set(language, (open = new Map<UtteranceId, Entry>()));
    const nothing = {
      line: undefined,
      clip: undefined,
      translated: undefined,
      synthesised: undefined,
      placed: undefined,
    };
    open.set(utterance.id, { utterance, language, recognised: now, ...nothing });
    const oldest = open.size > UNDER_WAY ? open.values().next() : undefined;
    if (oldest && !oldest.done) this.#settle(oldest.value, 'expired');
  }
  /** @returns whether the line is still under way */
  translated(line: Line, now: ClockTime): boolean {
    const entry = this.#of(line.language, line.utterance);
    if (entry) [entry.line, entry.translated] = [line, now];
    return entry !== undefined;
  }
  synthesised(line: Line, now: ClockTime): void {
    const entry = this.#of(line.language, line.utterance);
    if (entry) entry.synthesised = now;
  }
  /** @param accepted whether the timeline took it */
  placed(clip: Clip, accepted: boolean, now: ClockTime): void {
    this.#overtake(clip.language, clip.utterance);
    const entry = this.#of(clip.language, clip.utterance);
    if (!entry) return;
    [entry.clip, entry.placed] = [clip, now];
    this.#settle(entry, !accepted ? 'late' : clip.fit.trimmedWords > 0 ? 'trimmed' : 'dubbed');
  }
  /** The line goes no further. */
  lost(language: Language, utterance: UtteranceId, outcome: 'expired' | 'refused'): void {
    const entry = this.#of(language, utterance);
    if (entry) this.#settle(entry, outcome);
  }

  /** Settles what can no longer be heard. */
  sweep(now: ClockTime): void {
    const deadline = this.#deadline;
    if (!deadline) return;
    for (const open of this.#open.values()) {
      for (const entry of open.values()) if (deadline(entry.utterance.start) <= now) this.#settle(entry, 'expired');
    }
  }
  /** Nobody wants `language` any more: what is open is forgotten. */
  drop(language: Language): void {
    this.#open.delete(language);
  }
  /** Nothing more comes in `language`. */
  end(language: Language): void {
    for (const entry of this.#open.get(language)?.values() ?? []) this.#settle(entry, 'expired');
    this.#open.delete(language);
  }

  #of(language: Language, utterance: UtteranceId): Entry | undefined {
    return this.#open.get(language)?.get(utterance);
  }

  /** Lines stay in order, so those before `utterance` that have not been heard of were lost. */
  #overtake(language: Language, utterance: UtteranceId): void {
    const open = this.#open.get(language);
    if (!open?.has(utterance)) return;
    for (const [id, entry] of open) {
      if (id === utterance) return;
      this.#settle(entry, 'expired');
    }
  }

  #settle(entry: Entry, outcome: LineRecord['outcome']): void {
    const { utterance, language, line, clip } = entry;
    this.#open.get(language)?.delete(utterance.id);
    this.#totals[outcome === 'expired' || outcome === 'refused' ? 'captionOnly' : outcome] += 1;
    const heard = outcome === 'dubbed' || outcome === 'trimmed' ? clip : undefined;
    const arrived = this.#arrivals.of(utterance.end) ?? entry.recognised;
    const after = (t: ClockTime | undefined) => (t === undefined ? null : between(arrived, t));
    const due = clip && this.#deadline?.(clip.start);
    const record: LineRecord = {
      utterance: utterance.id,
      language,
      speaker: utterance.speaker,
      source: utterance.text,
      text: line?.text ?? '',
      start: utterance.start,
      end: utterance.end,
      dub: heard ? { start: heard.start, end: heard.end } : null,
      outcome,
      speed: heard?.fit.speed ?? null,
      rung: heard?.fit.rung ?? null,
      trimmedWords: heard?.fit.trimmedWords ?? 0,
      fit: heard?.fit ?? null,
      after: {
        recognised: between(arrived, entry.recognised),
        translated: after(entry.translated),
        synthesised: after(entry.synthesised),
        placed: after(entry.placed),
      },
      slack: due !== undefined && entry.placed !== undefined ? between(entry.placed, due) : null,
    };
    this.#onSettled({ record, line, clip: heard });
  }
}

/** Readings kept: at 20 ms a chunk, two and a half minutes. */
const READINGS = 8_192;

/** When which position of the programme came in. */
class Arrivals {
  #readings: { readonly end: MediaTime; readonly at: ClockTime }[] = [];

  add(end: MediaTime, at: ClockTime): void {
    this.#readings.push({ end, at });
    if (this.#readings.length > READINGS) this.#readings.splice(0, READINGS / 2);
  }
  of(t: MediaTime): ClockTime | undefined {
    let [low, high] = [0, this.#readings.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#readings[middle]?.end ?? t) < t) low = middle + 1;
      else high = middle;
    }
    return this.#readings[low]?.at;
  }
}

import { type Click, ClickDetector } from '../../media/clicks.ts';
import { LoudnessMeter } from '../../media/loudness.ts';
import { TruePeakMeter } from '../../media/true-peak.ts';
import type { MediaTime } from '../../media/time.ts';
import type { Verdict } from '../verdicts.ts';

export type Track = 'original' | 'dub';

/** Looks at every frame that is played, as it is played, and keeps a bounded amount. */
export interface Inspector {
  readonly name: string;
  /** `pcm`: 20 ms at 48 kHz, borrowed. */
  frame(track: Track, start: MediaTime, pcm: Float32Array): void;
  /** Figures of the time since it was asked last, for the plots: name with unit → value. */
  minute(): Readonly<Record<string, number>>;
  verdicts(): readonly Verdict[];
}

const RATE = 48_000;
/** What the output is brought to unless a session says otherwise: EBU R 128, ±1 LU as live programmes are allowed. */
const TARGET = { loudness: -23, tolerance: 1, truePeak: -1 };

/** Loudness and true peak of the dub. */
export class Levels implements Inspector {
  readonly name = 'levels';
  readonly #meter = new LoudnessMeter(RATE);
  readonly #peak = new TruePeakMeter();

  frame(track: Track, _start: MediaTime, pcm: Float32Array): void {
    if (track !== 'dub') return;
    this.#meter.push(pcm);
    this.#peak.push(pcm);
  }
  minute(): Readonly<Record<string, number>> {
    const { shortTerm, integrated } = this.#meter;
    return { 'short-term, LUFS': Math.max(-70, shortTerm), 'integrated, LUFS': Math.max(-70, integrated) };
  }
  verdicts(): readonly Verdict[] {
    const { integrated } = this.#meter;
    const { truePeak } = this.#peak;
    return [
      {
        what: 'integrated loudness of the dub',
        wanted: `${TARGET.loudness} ± ${TARGET.tolerance} LUFS`,
        measured: `${integrated.toFixed(1)} LUFS`,
        passed: Math.abs(integrated - TARGET.loudness) <= TARGET.tolerance,
      },
      {
        what: 'true peak of the dub',
        wanted: `at most ${TARGET.truePeak} dBTP`,
        measured: `${truePeak.toFixed(1)} dBTP`,
        passed: truePeak <= TARGET.truePeak,
      },
    ];
  }
}

/** The first so many samples of either track are its beginning, which is an edge of the recording. */
const BEGINNING = 4_800;
/** Clicks of the original within so many samples of one in the dub are the original's own. */
const NEAR = 480;
/** Looking for clicks takes as much time as everything else together: an hour of it is enough. */
const LOOKED = 3_600_000_000;
/** Clicks that are remembered one by one. */
const REMEMBERED = 256;

/** Samples that do not belong: clicks of the dub that the original, as it is played beside it, does not have. */
export class Clicks implements Inspector {
  readonly name = 'clicks';
  readonly #detectors = { original: new ClickDetector(RATE), dub: new ClickDetector(RATE) };
  readonly #found: { readonly original: Click[]; readonly dub: Click[] } = { original: [], dub: [] };
  readonly #first: { original: number | undefined; dub: number | undefined } = { original: undefined, dub: undefined };
  #own = 0;
  #minute = 0;
  #worst: Click = { at: 0, by: Number.NEGATIVE_INFINITY };

  frame(track: Track, start: MediaTime, pcm: Float32Array): void {
    if (start >= LOOKED) return;
    this.#first[track] ??= Math.round((start * RATE) / 1e6);
    for (const click of this.#detectors[track].push(pcm)) {
      if (click.at > BEGINNING) this.#found[track].push(click);
      if (this.#found[track].length > REMEMBERED) this.#found[track].shift();
    }
    if (track === 'dub') this.#judge(start);
  }
  /** Clicks of the dub so long ago that the original's have been found, too. */
  #judge(start: MediaTime): void {
    const now = Math.round((start * RATE) / 1e6) - (this.#first.dub ?? 0);
    for (let click = this.#found.dub[0]; click && click.at < now - RATE; click = this.#found.dub[0]) {
      this.#found.dub.shift();
      const { at, by } = click;
      if (this.#found.original.some((other) => Math.abs(other.at - at) < NEAR)) continue;
      this.#own += 1;
      this.#minute += 1;
      if (by > this.#worst.by) this.#worst = { at: at + (this.#first.dub ?? 0), by };
    }
  }
  minute(): Readonly<Record<string, number>> {
    const figures = { 'clicks a minute': this.#minute };
    this.#minute = 0;
    return figures;
  }
  verdicts(): readonly Verdict[] {
    return [
      {
        what: 'clicks in the dub that the original has not, first hour',
        wanted: 'none',
        measured:
          this.#own === 0
            ? 'none'
            : `${this.#own}, the worst ${this.#worst.by.toFixed(1)} dB above its surroundings, at ${(this.#worst.at / RATE).toFixed(3)} s`,
        passed: this.#own === 0,
      },
    ];
  }
}

/** Everything that looks at what is played. */
export const inspectors = (): Inspector[] => [new Levels(), new Clicks()];

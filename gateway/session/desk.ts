import type { AudioChunk } from '../../media/audio.ts';
import { factor } from '../../media/decibels.ts';
import { Levelling } from '../../media/levelling.ts';
import { Master } from '../../media/mastering.ts';
import type { Finisher } from '../../media/timeline.ts';
import type { SessionSpec } from '../config.ts';
import type { StatsView } from '../protocol.ts';

const RATE = 48_000;

/** The mixing desk's last stage: one gain for the programme, a master for every track, and what their meters show. */
export class Desk {
  readonly #levelling: Levelling;
  readonly #ceiling: number;
  readonly #masters = new Map<string, Master>();

  constructor({ loudness, truePeak }: SessionSpec['mix']) {
    this.#levelling = new Levelling({ rate: RATE, target: loudness === 'off' ? undefined : loudness });
    this.#ceiling = truePeak;
  }

  /** Hears the original as it comes in, a delay before it is played. */
  hear(chunk: AudioChunk): void {
    this.#levelling.push(chunk);
  }

  /** What finishes the dub called `name`, or the original (`null`). */
  finish(name: string | null): Finisher {
    const master = new Master({ rate: RATE, levelling: this.#levelling, ceiling: this.#ceiling });
    this.#masters.set(name === null ? 'original' : `dub:${name}`, master);
    return {
      lookahead: master.lookahead,
      process: (sound, at) => master.process(sound, at),
      get gain() {
        return factor(master.gain);
      },
    };
  }
  /** The dub called `name` has ended. */
  forget(name: string): void {
    this.#masters.delete(`dub:${name}`);
  }

  /** By track: LUFS and dBTP of what came out; a track that was silent so far is left out. */
  get levels(): StatsView['loudness'] {
    const shown = [...this.#masters].flatMap(([track, { levels }]) => {
      const { momentary, shortTerm, integrated, truePeak } = levels;
      if (![integrated, truePeak].every(Number.isFinite)) return [];
      const floor = (value: number) => Math.round(Math.max(-70, value) * 10) / 10;
      const view = {
        momentary: floor(momentary),
        shortTerm: floor(shortTerm),
        integrated: floor(integrated),
        truePeak: floor(truePeak),
      };
      return [[track, view] as const];
    });
    return shown.length > 0 ? Object.fromEntries(shown) : null;
  }
}

import { z } from 'zod';
import { endOf } from '../../media/audio.ts';
import { type MediaTime, between, seconds } from '../../media/time.ts';
import type { SpeakerId, SpeechChunk, Turn } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { VOICE_SPACE } from './diarizer-space.ts';
import { defineEngine } from '../engine.ts';
import { RATE } from '../dsp/mfcc.ts';
import { Speakers, place } from './speakers.ts';
import { VoiceMeasurer } from './voice.ts';

/** Speech is judged in pieces of this length; shorter ones tell voices apart less well, longer ones come later. */
const PIECE = seconds(2);
/** The end of a segment that is shorter than this belongs to whoever spoke before it. */
const TAIL = seconds(1);
/** Seconds of voiced sound below which nothing can be said about a voice. */
const ENOUGH = 0.4;
/** A stream that has not named anybody yet has this speaker. */
const FIRST = 's1' as SpeakerId;

/** Follows who speaks through the segments of one stream. */
export class TurnTaker {
  readonly #measurer = new VoiceMeasurer();
  readonly #speakers: Speakers;
  #speaker = FIRST;
  #segment: number | undefined;
  #start = 0 as MediaTime;
  #end = 0 as MediaTime;
  /** The segment has had a turn already. */
  #begun = false;

  constructor(maxSpeakers: number) {
    this.#speakers = new Speakers(VOICE_SPACE.threshold, maxSpeakers);
  }

  *hear(chunk: SpeechChunk): Generator<Turn> {
    if (this.#segment !== undefined && this.#segment !== chunk.segment) yield* this.end();
    if (this.#segment === undefined) {
      this.#segment = chunk.segment;
      this.#start = this.#end = chunk.start;
      this.#begun = false;
    }
    if (Math.abs(between(this.#end, chunk.start)) > 1_000) this.#measurer.cut();
    this.#measurer.hear(chunk.pcm);
    this.#end = endOf(chunk);
    if (chunk.last) yield* this.end();
    else if (between(this.#start, this.#end) >= PIECE) yield this.#turn();
  }

  /** The segment is over: whatever of it has no turn yet gets one. */
  *end(): Generator<Turn> {
    if (this.#segment !== undefined && this.#end > this.#start) yield this.#turn();
    this.#segment = undefined;
    this.#measurer.clear();
    this.#measurer.cut();
  }

  #turn(): Turn {
    const short = this.#begun && between(this.#start, this.#end) < TAIL;
    if (short || this.#measurer.voiced < ENOUGH) this.#measurer.clear();
    else this.#speaker = this.#speakers.name(place(VOICE_SPACE, this.#measurer.sum()));
    const turn = { start: this.#start, end: this.#end, speaker: this.#speaker };
    this.#start = this.#end;
    this.#begun = true;
    return turn;
  }
}

/**
 * Tells voices apart by the shape of their spectrum and their pitch.
 *
 * Every two seconds of speech are measured and given to the nearest voice so far, or to a new one. It hears one speaker
 * at a time, takes similar voices over the telephone for one, and sometimes gives one speaker two names; what it was
 * measured to do stands with its numbers in `models/speakers/diarizer-space.ts`.
 */
export const voices = defineEngine({
  kind: 'diarizer',
  id: 'voices',
  host: 'inline',
  summary: 'Speakers told apart by spectrum and pitch, a turn every two seconds; no overlapping speech.',
  licence: 'GPL-3.0-or-later AND CC-BY-4.0',
  needs: [],
  config: z.strictObject({
    maxSpeakers: z.number().int().min(1).max(16).default(4).describe('How many speakers are told apart at most.'),
  }),
  async load({ maxSpeakers }) {
    return {
      kind: 'diarizer',
      engine: 'voices',
      caps: { rate: RATE, lookahead: PIECE, maxSpeakers, overlap: false },
      async *run(input, { signal }) {
        const taker = new TurnTaker(maxSpeakers);
        for await (const chunk of until(input, signal)) yield* taker.hear(chunk);
        if (!signal.aborted) yield* taker.end();
      },
    };
  },
});

import { endOf } from '../media/audio.ts';
import { type Interval, type MediaTime, type SampleRate, between, later, sampleIndex, samples } from '../media/time.ts';
import type { Reference, SpeakerId, SpeechChunk, Turn, Utterance } from './domain.ts';

export interface Referring {
  /** Seconds of speech from which there is a reference, and of which there are never more. */
  readonly least: number;
  readonly most: number;
  /** Seconds of a passage: shorter ones are of no use, longer ones are cut. */
  readonly shortest: number;
  readonly longest: number;
  /** Seconds of programme between two changes of one speaker's reference at least. */
  readonly every: number;
  /** How much better, as a share, or longer, in seconds, the sound must be before it changes. */
  readonly better: number;
  readonly longer: number;
  /** Speech is kept back so many seconds until turns tell whose it is. */
  readonly patience: number;
}
export const REFERRING: Referring = {
  least: 15,
  most: 60,
  shortest: 1,
  longest: 12,
  every: 20,
  better: 0.1,
  longer: 5,
  patience: 30,
};

/** How far a speaker's voice in a passage lies from that speaker's voice in general: 0 (it is the same) … 1. */
export type Strangeness = (speaker: SpeakerId, pcm: Float32Array, rate: SampleRate) => number;

/** One speaker alone, without a break. */
interface Passage extends Interval {
  readonly pcm: Float32Array;
  /** 0 … 1: how much it is worth having. */
  readonly score: number;
}
interface Kept {
  /** Best first. */
  passages: Passage[];
  reference: Reference | undefined;
  /** The passages that the reference is made of, what they are worth, and when it was made. */
  chosen: readonly Passage[];
  worth: number;
  made: MediaTime;
  versions: number;
}

/** Milliseconds over which passages are faded in and out, so that joints do not click, and the silence between them. */
const FADE = 0.01;
const JOINT = 0.2;
/** The edge of a turn belongs to nobody for certain: so much of it is left out, seconds. */
const EDGE = 0.1;
/** Twice as much is kept as a reference holds, so that it can get better. */
const SPARE = 2;
/** A speaker's sayings are remembered this many at a time. */
const REMEMBERED = 256;

/**
 * Collects each speaker's own voice while a programme is heard: the best passages in which nobody else speaks, one
 * after the other, for engines that clone.
 *
 * Fed with what the diarizer hears and says: speech (enhanced, where an enhancer runs) and turns, in any order, and
 * utterances for the words. Everything lies in memory; `forget` and `close` leave nothing of it.
 */
export class ReferenceVoices {
  readonly #rules: Referring;
  readonly #strangeness: Strangeness | undefined;
  #speech: { start: MediaTime; end: MediaTime; rate: SampleRate; pcm: Float32Array }[] = [];
  #turns: Turn[] = [];
  #said: Utterance[] = [];
  #speakers = new Map<SpeakerId, Kept>();
  /** Whoever was forgotten stays so for what was heard until then. */
  #forgotten = new Map<SpeakerId, MediaTime>();
  #now = 0 as MediaTime;
  #closed = false;

  constructor(rules: Partial<Referring> = {}, strangeness?: Strangeness) {
    this.#rules = { ...REFERRING, ...rules };
    this.#strangeness = strangeness;
    const { least, most, shortest, longest } = this.#rules;
    if (!(least <= most && shortest <= longest && shortest > 2 * EDGE)) {
      throw new RangeError(
        `Cannot collect voices: ${least} … ${most} s of passages of ${shortest} … ${longest} s make no reference`,
      );
    }
  }

  /** Speech, as the diarizer hears it. The samples are copied. */
  speech(chunk: SpeechChunk): void {
    if (this.#closed || chunk.pcm.length === 0) return;
    const { start, rate } = chunk;
    const end = endOf(chunk);
    this.#speech.push({ start, end, rate, pcm: chunk.pcm.slice() });
    this.#now = Math.max(this.#now, end) as MediaTime;
    const oldest = this.#now - this.#rules.patience * 1e6;
    while (this.#speech[0] && this.#speech[0].end < oldest) this.#speech.shift();
  }

  /** A turn. Those of one speaker that follow each other are one passage. */
  turn(turn: Turn): void {
    if (this.#closed) return;
    const last = this.#turns.at(-1);
    const length = last ? between(last.start, turn.end) / 1e6 : 0;
    if (
      last &&
      last.speaker === turn.speaker &&
      alone(last) &&
      alone(turn) &&
      Math.abs(between(last.end, turn.start)) < 1_000 &&
      length <= this.#rules.longest
    ) {
      this.#turns[this.#turns.length - 1] = { ...last, end: turn.end };
    } else {
      this.#turns.push(turn);
    }
    while (this.#turns.length > 1) this.#take(this.#turns.shift()!);
  }

  /** What was said, where that is known: words go with the passages that they lie in. */
  utterance(utterance: Utterance): void {
    if (this.#closed) return;
    this.#said.push(utterance);
    if (this.#said.length > REMEMBERED) this.#said.shift();
  }

  /** Nothing more comes for now, as at the end of a segment: the last turn counts as it is. */
  settle(): void {
    const last = this.#turns.pop();
    if (last) this.#take(last);
  }

  /** The speaker's voice, once there is enough of it. The same object until the sound changes. */
  of(speaker: SpeakerId): Reference | undefined {
    return this.#speakers.get(speaker)?.reference;
  }

  /** Deletes what was kept of a speaker; what is heard from now on is kept again. */
  forget(speaker: SpeakerId): void {
    this.#wipe(this.#speakers.get(speaker));
    this.#speakers.delete(speaker);
    this.#turns = this.#turns.filter((turn) => turn.speaker !== speaker);
    this.#said = this.#said.filter((utterance) => utterance.speaker !== speaker);
    this.#forgotten.set(speaker, this.#now);
  }

  /** Deletes everything. What comes afterwards is not kept. */
  close(): void {
    this.#closed = true;
    for (const speaker of [...this.#speakers.keys()]) this.forget(speaker);
    for (const { pcm } of this.#speech) pcm.fill(0);
    this.#speech = [];
    this.#turns = [];
    this.#said = [];
    this.#forgotten.clear();
  }

  #wipe(kept: Kept | undefined): void {
    for (const { pcm } of kept?.passages ?? []) pcm.fill(0);
    kept?.reference?.pcm.fill(0);
  }

  #take(turn: Turn): void {
    const { shortest } = this.#rules;
    const since = this.#forgotten.get(turn.speaker) ?? (0 as MediaTime);
    if (!alone(turn) || turn.start < since) return;
    const inner = { start: later(turn.start, span(EDGE)), end: later(turn.end, span(-EDGE)) };
    if (between(inner.start, inner.end) < shortest * 1e6) return;
    const cut = this.#cut(inner);
    if (!cut) return;
    const kept = this.#of(turn.speaker);
    const strange = this.#strangeness?.(turn.speaker, cut.pcm, cut.rate) ?? 0;
    const score = worth(cut.pcm, cut.rate, this.#rules.longest) * (1 - Math.min(1, Math.max(0, strange)));
    if (score <= 0) return;
    kept.passages.push({ ...inner, pcm: cut.pcm, score });
    kept.passages.sort((a, b) => b.score - a.score);
    this.#drop(kept, cut.rate);
    this.#renew(turn.speaker, kept, cut.rate);
  }

  #of(speaker: SpeakerId): Kept {
    let kept = this.#speakers.get(speaker);
    if (!kept) {
      kept = { passages: [], reference: undefined, chosen: [], worth: 0, made: 0 as MediaTime, versions: 0 };
      this.#speakers.set(speaker, kept);
    }
    return kept;
  }

  /** The samples of an interval, if all of them were heard. */
  #cut({ start, end }: Interval): { pcm: Float32Array; rate: SampleRate } | undefined {
    const parts = this.#speech.filter((chunk) => chunk.start < end && start < chunk.end);
    const first = parts[0];
    if (!first || first.start > start || parts.at(-1)!.end < end) return undefined;
    const pcm = new Float32Array(sampleIndex(between(start, end), first.rate));
    let edge = first.start;
    for (const chunk of parts) {
      if (Math.abs(between(edge, chunk.start)) > 1_000) return undefined;
      edge = chunk.end;
      const at = sampleIndex(between(start, chunk.start), first.rate);
      const from = Math.max(0, -at);
      pcm.set(chunk.pcm.subarray(from, Math.min(chunk.pcm.length, pcm.length - at)), at + from);
    }
    return { pcm, rate: first.rate };
  }

  /** Keeps the best, and what the reference is made of. */
  #drop(kept: Kept, rate: SampleRate): void {
    let length = 0;
    kept.passages = kept.passages.filter((passage) => {
      length += passage.pcm.length / rate;
      return length <= this.#rules.most * SPARE || kept.chosen.includes(passage);
    });
  }

  #renew(speaker: SpeakerId, kept: Kept, rate: SampleRate): void {
    const { least, most, every, better, longer } = this.#rules;
    const chosen: Passage[] = [];
    let length = 0;
    for (const passage of kept.passages) {
      const joint = chosen.length > 0 ? JOINT : 0;
      if (length + joint + passage.pcm.length / rate > most) continue;
      chosen.push(passage);
      length += joint + passage.pcm.length / rate;
    }
    if (length < least) return;
    const worthNow = chosen.reduce((sum, { score, pcm }) => sum + (score * pcm.length) / rate, 0) / length;
    if (kept.reference) {
      const before = kept.reference.pcm.length / rate;
      const improved = worthNow > kept.worth * (1 + better) || length > before + longer;
      if (!improved || between(kept.made, this.#now) < every * 1e6) return;
    }
    kept.chosen = chosen;
    kept.worth = worthNow;
    kept.made = this.#now;
    kept.versions += 1;
    const text = chosen
      .map((passage) => this.#textOf(speaker, passage))
      .filter(Boolean)
      .join(' ');
    kept.reference = { id: `${speaker}.${kept.versions}`, speaker, rate, pcm: joined(chosen, rate), text };
  }

  /** The words that lie in a passage; nothing unless they are known for most of it. */
  #textOf(speaker: SpeakerId, { start, end }: Interval): string {
    const words = this.#said
      .filter((utterance) => utterance.speaker === speaker && utterance.start < end && start < utterance.end)
      .flatMap((utterance) => utterance.words)
      .filter((word) => (word.start + word.end) / 2 >= start && (word.start + word.end) / 2 < end);
    return words.map(({ text }) => text.trim()).join(' ');
  }
}

const alone = ({ overlap = [] }: Turn) => overlap.length === 0;
const span = (seconds: number) => samples(Math.round(seconds * 16_000), 16_000);

/** How far speech stands out of what lies between the words, dB: loud 20 ms blocks against quiet ones. */
export function speechToNoise(pcm: Float32Array, rate: SampleRate): number {
  const size = rate / 50;
  const levels: number[] = [];
  for (let from = 0; from + size <= pcm.length; from += size) {
    let sum = 0;
    for (let i = from; i < from + size; i += 1) sum += pcm[i]! * pcm[i]!;
    // Digital silence, as between passages, is nobody's noise.
    if (sum > 0) levels.push(sum / size);
  }
  if (levels.length === 0) return 0;
  levels.sort((a, b) => a - b);
  const share = (s: number) => levels[Math.min(levels.length - 1, Math.floor(s * levels.length))]!;
  const [noise, speech] = [Math.max(share(0.05), 1e-10), share(0.8)];
  return 10 * Math.log10(Math.max(speech - noise, 1e-10) / noise);
}

/** Length and cleanness, 0 … 1: nothing for what is clipped or is as loud as its noise. */
function worth(pcm: Float32Array, rate: SampleRate, longest: number): number {
  let clipped = 0;
  for (const sample of pcm) if (Math.abs(sample) >= 0.999) clipped += 1;
  if (clipped > pcm.length / 1_000) return 0;
  const clean = Math.min(1, Math.max(0, (speechToNoise(pcm, rate) - 5) / 35));
  const long = Math.min(1, pcm.length / rate / (longest / 2));
  return clean * (0.5 + 0.5 * long);
}

function joined(passages: readonly Passage[], rate: SampleRate): Float32Array {
  const joint = Math.round(JOINT * rate);
  const fade = Math.round(FADE * rate);
  const length = passages.reduce((sum, { pcm }) => sum + pcm.length + joint, -joint);
  const out = new Float32Array(length);
  let at = 0;
  for (const { pcm } of passages) {
    out.set(pcm, at);
    for (let i = 0; i < fade; i += 1) {
      out[at + i]! *= i / fade;
      out[at + pcm.length - 1 - i]! *= i / fade;
    }
    at += pcm.length + joint;
  }
  return out;
}

import { Subject } from 'rxjs';
import type { AudioChunk } from '../../media/audio.ts';
import { ManualClock } from '../../media/clock.ts';
import { type Span, at, later, ms, seconds } from '../../media/time.ts';
import { Timeline } from '../../media/timeline.ts';
import type { Clip, Language } from '../../pipeline/domain.ts';
import { type DubOptions, type Dubbing, type LanguageDub, dub } from '../../pipeline/dub.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import type { Mode } from '../../pipeline/mode.ts';
import type { Stage } from '../../pipeline/stage.ts';
import type { LanguageStages } from '../../pipeline/voice.ts';
import { nearestSample } from './pipeline-stretcher.ts';
import { type Said, diarizerOf, recognizerOf, synthesizerAt, translatorTo, vadOf } from './stages.ts';

export const [en, es, fr] = ['en', 'es', 'fr'] as [Language, Language, Language];
export const ORIGINAL = 0.25;
export const DUB = 0.5;
export const script: Said[] = [
  { from: 500, to: 1_500, text: 'One.' },
  { from: 2_000, to: 3_000, text: 'Two.' },
  { from: 4_000, to: 5_000, text: 'Three.' },
];
export const ears = (spoken: readonly Said[] = script): SharedStages => ({
  vad: vadOf(spoken),
  recognizer: recognizerOf(spoken),
  diarizer: diarizerOf(spoken),
});
export const spanish = (fails: Record<string, FaultKind> = {}): LanguageStages => ({
  translator: translatorTo(es),
  synthesizer: synthesizerAt(DUB, fails),
});
export const turn = () => new Promise((r) => setImmediate(r));
export const segmenting = { shortest: ms(100), hold: ms(300), before: ms(100), after: ms(100) };
export const chunk = (tick: number): AudioChunk => ({
  start: later(at(0), ms(100 * tick)),
  rate: 48_000,
  pcm: new Float32Array(4_800).fill(ORIGINAL),
});

/** A live programme of ours on a 4 s timeline, a tenth of a second a tick. */
export class House {
  readonly clock = new ManualClock();
  readonly audio$ = new Subject<AudioChunk>();
  readonly timeline: Timeline;
  readonly dubbing: Dubbing;
  readonly cues: string[] = [];
  readonly sourceCues: string[] = [];
  readonly faults: string[] = [];
  readonly modes: string[] = [];
  /** As it is now. */
  mode: Mode = { audio: 'original', video: 'original', text: 'none', quality: 'full' };
  readonly lines: LineRecord[] = [];
  readonly clips: Clip[] = [];
  readonly heard: Record<string, number[]> = {};
  readonly original: number[] = [];
  /** What is heard in each tenth of a second. */
  sound: (tick: number) => AudioChunk = chunk;
  #tick = 0;

  constructor(shared: SharedStages, languages: Record<string, LanguageStages>, options: Partial<DubOptions> = {}) {
    this.timeline = new Timeline({
      delay: seconds(4),
      rate: 48_000,
      anchor: { media: at(0), clock: this.clock.now() },
      mix: { under: -Infinity },
    });
    this.dubbing = dub(this.audio$, shared, {
      from: en,
      clock: this.clock,
      pace: 'live',
      deadline: (t) => this.timeline.deadline(t),
      place: (clip) => this.timeline.dub(clip.language).place(clip),
      stretcher: nearestSample,
      retryAfter: () => ms(200),
      segmenting,
      // What is heard is told by its level.
      level: 'own',
      expression: 0,
      ...options,
    });
    this.dubbing.faults$.subscribe(({ name, fault }) => this.faults.push(`${name} ${fault.kind}`));
    this.dubbing.mode$.subscribe((mode) => {
      this.mode = mode;
      this.modes.push(`${mode.audio} ${mode.text}`);
    });
    this.dubbing.lines$.subscribe((line) => this.lines.push(line));
    this.dubbing.cues$.subscribe((cue) => !cue.draft && this.sourceCues.push(cue.text));
    for (const [language, stages] of Object.entries(languages)) this.add(language as Language, stages);
    this.dubbing.start();
  }

  add(language: Language, stages: LanguageStages): LanguageDub {
    this.timeline.dub(language);
    const added = this.dubbing.addLanguage(language, stages);
    added.cues$.subscribe((cue) => !cue.draft && this.cues.push(cue.text));
    added.clips$.subscribe((clip) => this.clips.push(clip));
    return added;
  }

  /** Plays on for a while. */
  async play(length: Span): Promise<void> {
    for (const until = this.#tick + length / 100_000; this.#tick < until; this.#tick += 1) {
      await this.clock.advance(ms(100));
      this.timeline.pushOriginal(this.sound(this.#tick));
      this.audio$.next(this.sound(this.#tick));
      await turn();
      const played = this.timeline.take(this.clock.now());
      if (played.pcm.length === 0) continue;
      this.original.push(...levels(played.pcm));
      for (const [language, { left }] of played.dubs) (this.heard[language] ??= []).push(...levels(left));
    }
  }
  /** Levels heard in the middle of each line, and nothing but one level in each. */
  lineLevels(language: Language = es, spoken: readonly Said[] = script): number[] {
    return spoken.map(({ from, to }) => {
      const middle = (this.heard[language] ?? []).slice(from / 10 + 20, to / 10 - 20);
      const rounded = [...new Set(middle.map((x) => Math.round(x * 20) / 20))];
      return rounded.length === 1 ? rounded[0]! : Number.NaN;
    });
  }
}
/** One sample every 10 ms. */
export const levels = (pcm: Float32Array): number[] =>
  Array.from({ length: pcm.length / 480 }, (_, n) => pcm[n * 480 + 240] ?? 0);

export async function hear(
  shared: SharedStages,
  languages: Record<string, LanguageStages>,
  options: Partial<DubOptions> = {},
) {
  const house = new House(shared, languages, options);
  await house.play(seconds(14));
  return house;
}

/** A stage of that kind that throws `kind` on everything. */
export const failing = <K extends Stage['kind']>(stage: Stage<K>, kind: FaultKind): Stage<K> => ({
  ...stage,
  run: async function* (input: AsyncIterable<unknown>) {
    for await (const _ of input) throw new Fault(stage.kind, kind, 'scripted');
  } as Stage<K>['run'],
});
/** A stage that takes and says nothing, ever. */
export const silent = <K extends Stage['kind']>(stage: Stage<K>): Stage<K> => ({
  ...stage,
  run: async function* (input: AsyncIterable<unknown>) {
    for await (const _ of input) await new Promise(() => {});
  } as Stage<K>['run'],
});

import { Subject } from 'rxjs';
import { SessionSpec } from '../../gateway/config.ts';
import { Desk } from '../../gateway/session/desk.ts';
import { within } from '../../gateway/session/within.ts';
import { type AudioChunk, endOf, joined } from '../../media/audio.ts';
import { MonotonicClock, clockAt } from '../../media/clock.ts';
import { rubberband } from '../../media/rubberband.ts';
import type { Scope } from '../../media/scope.ts';
import type { Stretcher } from '../../media/stretch.ts';
import {
  type ClockTime,
  type MediaTime,
  type SampleRate,
  type Span,
  at,
  later,
  samples,
  seconds,
} from '../../media/time.ts';
import { Timeline } from '../../media/timeline.ts';
import { syllables, usualRate } from '../../models/translate/syllables.ts';
import type { Clip, Cue, Language, Line, Utterance } from '../../pipeline/domain.ts';
import { dub } from '../../pipeline/dub.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import type { Load } from '../../pipeline/load.ts';
import type { Stage } from '../../pipeline/stage.ts';
import type { LanguageStages } from '../../pipeline/voice.ts';
import type { Tell } from '../progress.ts';
import type { Dubbed } from './measures.ts';

/** As `livedub dub` has it: how far the original is read ahead. */
const BEHIND = seconds(60);
/**
 * How many items may wait for the stages. `livedub dub` allows more: there they are audio that waits for the recogniser.
 * Behind a scripted one, which takes no time, they are sentences, and the programme would be over before one is said.
 */
const WAITING = 0;
/** Nothing waits for longer than this for what may wait for more of the programme itself, ms. */
const PATIENCE = 2_000;
const RATE = 48_000;
/** Of a live programme, which ends: what is said last is played this much later than it came, and a little. */
const AFTER = seconds(1);

export interface ProgrammeOptions {
  readonly from: Language;
  readonly to: Language;
  /** 48 kHz from position 0 on, without a gap. */
  readonly audio: Iterable<AudioChunk>;
  readonly length: Span;
  readonly shared: SharedStages;
  readonly stages: LanguageStages;
  /** Shown this late, in real time; left out, the programme goes as fast as the machine can and nothing is too late. */
  readonly live?: Span;
  /** Rubber Band unless given. */
  readonly stretcher?: Stretcher;
  readonly onProgress?: Tell;
}

export interface DubbedProgramme extends Dubbed {
  /** The dub as it was played. */
  readonly pcm: Float32Array;
  readonly faults: readonly string[];
  /** Processor time of the whole process and elapsed time, seconds. */
  readonly cpu: number;
  readonly elapsed: number;
}

/**
 * Dubs a programme into one language through the real graph, fitter, stretcher and timeline, and keeps what came of it.
 *
 * What it keeps grows with the programme: this is for minutes. `bench/hours` is for hours.
 */
export async function dubProgramme(options: ProgrammeOptions, parent: Scope): Promise<DubbedProgramme> {
  const { from, to, length, live, onProgress = () => {} } = options;
  await using scope = parent.child('programme');
  const { signal } = scope;
  const clock = new MonotonicClock();
  const stretcher = options.stretcher ?? (await rubberband());
  const anchor = { media: at(0), clock: live === undefined ? (0 as ClockTime) : clock.now() };
  const desk = new Desk(SessionSpec.parse({}).mix);
  const finish = (track: string | null) => desk.finish(track);
  const timeline = new Timeline({ delay: live ?? BEHIND, rate: RATE, anchor, finish });
  const audio$ = new Subject<AudioChunk>();
  const lines: LineRecord[] = [];
  const utterances: Utterance[] = [];
  const clips: Clip[] = [];
  const cues = new Map<string, Cue>();
  const faults = new Set<string>();
  const dubbing = dub(audio$, options.shared, {
    from,
    clock,
    pace: live === undefined ? 'recorded' : 'live',
    deadline: (t) => timeline.deadline(t),
    stretcher,
    syllables: { count: syllables, usual: usualRate },
    place: (clip) => timeline.dub(clip.language).place(clip),
    ...(live !== undefined && within(live)),
  });
  scope.defer(() => dubbing.close());
  timeline.dub(to);
  dubbing.lines$.subscribe((line) => lines.push(line));
  dubbing.utterances$.subscribe((utterance) => utterances.push(utterance));
  dubbing.faults$.subscribe(({ name, fault }) => faults.add(`${name}: ${fault.message}`));
  const spoken = dubbing.addLanguage(to, options.stages);
  spoken.clips$.subscribe((clip) => clips.push(clip));
  spoken.cues$.subscribe((cue) => cues.set(cue.id, cue));

  const played: Float32Array[] = [];
  const play = (now: ClockTime) => {
    const { dubs, pcm } = timeline.take(now);
    played.push(dubs.get(to)?.left ?? pcm);
  };
  const began = performance.now();
  const before = process.cpuUsage();
  dubbing.start();
  let end = at(0);
  for (const chunk of options.audio) {
    signal.throwIfAborted();
    if (live === undefined) await room(dubbing.load, signal);
    else await clock.until(clockAt(anchor, endOf(chunk)), signal);
    timeline.pushOriginal(chunk);
    desk.hear(chunk);
    audio$.next(chunk);
    end = endOf(chunk);
    play(live === undefined ? (end as number as ClockTime) : clock.now());
    onProgress(length > 0 ? Math.min(0.99, end / length) : 0, '');
  }
  audio$.complete();
  if (live === undefined) {
    await dubbing.done;
    play(later(end as number as ClockTime, BEHIND));
  } else {
    const over = later(clockAt(anchor, end), (live + AFTER) as Span);
    while (clock.now() < over) {
      await clock.until(later(clock.now(), seconds(0.1)), signal);
      play(clock.now());
    }
    dubbing.close();
  }
  const { user, system } = process.cpuUsage(before);
  return {
    lines,
    utterances,
    clips,
    cues: [...cues.values()],
    pcm: joined(played),
    faults: [...faults],
    cpu: (user + system) / 1e6,
    elapsed: (performance.now() - began) / 1_000,
  };
}

/** Until there is room for more of a recorded programme. */
async function room(load: Load, signal: AbortSignal): Promise<void> {
  if (load.pending <= WAITING) return;
  await load.below(WAITING, AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)])).catch(() => {});
  signal.throwIfAborted();
}

/** Samples in chunks of 20 ms. */
export function* chunks(pcm: Float32Array, rate: SampleRate = RATE): Generator<AudioChunk> {
  const size = rate / 50;
  for (let offset = 0; offset < pcm.length; offset += size) {
    const start: MediaTime = later(at(0), samples(offset, rate));
    yield { start, rate, pcm: pcm.subarray(offset, offset + size) };
  }
}

/** A line as the voice said it, before anything was done to it. */
export interface Natural {
  readonly line: Line;
  readonly rate: SampleRate;
  readonly pcm: Float32Array;
}
/** The same synthesizer, with a copy of each line it says. */
export function tapped(stage: Stage<'synthesizer'>, into: (natural: Natural) => void): Stage<'synthesizer'> {
  return {
    ...stage,
    async *run(input, scope) {
      let parts: Float32Array[] = [];
      for await (const speech of stage.run(input, scope)) {
        if (speech.chunk.start === 0) parts = [];
        parts.push(speech.chunk.pcm.slice());
        if (speech.last) into({ line: speech.line, rate: speech.chunk.rate, pcm: joined(parts) });
        yield speech;
      }
    },
  };
}

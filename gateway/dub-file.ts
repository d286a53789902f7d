import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { Subject } from 'rxjs';
import { type AudioChunk, endOf } from '../media/audio.ts';
import { MonotonicClock } from '../media/clock.ts';
import { openFile } from '../media/file.ts';
import { checkOutput, mux } from '../media/mux.ts';
import { rubberband } from '../media/rubberband.ts';
import type { Scope } from '../media/scope.ts';
import { type ClockTime, type MediaTime, at, later, seconds } from '../media/time.ts';
import { Timeline } from '../media/timeline.ts';
import { createWav } from '../media/wav.ts';
import { nameOf } from '../models/languages.ts';
import { registry } from '../models/index.ts';
import type { Cue, Language } from '../pipeline/domain.ts';
import { dub } from '../pipeline/dub.ts';
import type { LineRecord } from '../pipeline/ledger.ts';
import { srt } from '../pipeline/srt.ts';
import { webvtt } from '../pipeline/webvtt.ts';
import { abilitiesOf } from './abilities.ts';
import { type DubOptions, type DubProgress, UsageError } from './commands.ts';
import { mixFor } from './config.ts';
import { enginesOf } from './engine-options.ts';
import { mixOf, specOf } from './mix-options.ts';
import { spread } from './report.ts';
import { Engines } from './session/engines.ts';
import { LOOK } from './transcript.ts';

/** How far the original is read ahead of what is written. A line's dub is ready long before it is that far behind. */
const BEHIND = seconds(60);
/** Chunks that may wait for the stages; then reading waits. */
const WAITING = 64;
const RATE = 48_000;

/**
 * Dubs a recording into a file, as fast as the machine allows: the picture as it is, one track of sound and one of
 * captions per language, and the original's.
 *
 * The programme is its own clock here: what is written is what a viewer of the live programme would hear, except that
 * nothing is ever too late.
 *
 * @returns what was made, in sentences
 */
export async function dubFile(
  options: DubOptions,
  parent: Scope,
  onProgress: (progress: DubProgress) => void,
): Promise<string> {
  const [file, out] = [resolve(options.file), resolve(options.out)];
  checkOutput(out);
  const engines = registry();
  await using scope = parent.child('dub');
  const { signal } = scope;
  const spec = specOf({
    source: { kind: 'file', path: file },
    from: options.from,
    to: options.to,
    ...mixOf(options),
    ...enginesOf(options),
  });
  for (const to of options.to) {
    const refusal = abilitiesOf(engines).supports(spec, to);
    if (refusal) throw new UsageError(`--to ${to}: ${refusal.message} ${refusal.fix ?? ''}`.trim());
  }
  const refusal = abilitiesOf(engines).accepts(spec);
  if (refusal) throw new UsageError(`--engine: ${refusal.message}`);
  const programme = await openFile(file, { field: 'file', pictures: false }, scope);
  const { duration, audio } = programme.info;
  if (!audio) throw new UsageError(`${basename(file)} has no sound: there is nothing to dub.`);

  const complaints = new Map<string, string>();
  const choice = new Engines(
    { registry: engines, spec, onFault: (fault) => complaints.set(fault.stage, fault.message) },
    scope,
  );
  const audio$ = new Subject<AudioChunk>();
  const [shared, stretcher] = await Promise.all([choice.shared(), rubberband()]);
  const timeline = new Timeline({
    delay: BEHIND,
    rate: RATE,
    anchor: { media: at(0), clock: 0 as ClockTime },
    mix: mixFor(spec.mix),
  });
  const dubbing = dub(audio$, shared, {
    from: spec.from as Language,
    clock: new MonotonicClock(),
    pace: 'recorded',
    stretcher,
    place: (clip) => timeline.dub(clip.language).place(clip),
  });
  scope.defer(() => dubbing.close());

  const cues: Cue[] = [];
  const lines: LineRecord[] = [];
  dubbing.cues$.subscribe((cue) => cues.push(cue));
  dubbing.lines$.subscribe((line) => lines.push(line));
  dubbing.faults$.subscribe(({ name, fault }) => complaints.set(name, fault.message));
  for (const language of spec.to as Language[]) {
    timeline.dub(language);
    const { cues$ } = dubbing.addLanguage(language, await choice.language(language, scope));
    cues$.subscribe((cue) => cues.push(cue));
  }

  const folder = await mkdtemp(join(tmpdir(), 'livedub-dub-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const tracks = await Promise.all(
    ['original', ...spec.to].map(async (name) => {
      const wav = join(folder, `${name}.wav`);
      return { name, wav, file: await createWav(wav, RATE, scope) };
    }),
  );
  /** Writes what lies more than `BEHIND` before `t`. The programme's time is its own clock. */
  const write = async (t: MediaTime) => {
    const played = timeline.take(t as number as ClockTime);
    for (const track of tracks) await track.file.write(played.dubs.get(track.name)?.left ?? played.pcm);
  };

  const began = performance.now();
  let end = at(0);
  dubbing.start();
  for await (const item of programme) {
    signal.throwIfAborted();
    if (item.kind !== 'audio') continue;
    await dubbing.load.below(WAITING, signal);
    timeline.pushOriginal(item);
    audio$.next(item);
    end = endOf(item);
    await write(end);
    const elapsed = Math.max(0.001, (performance.now() - began) / 1_000);
    onProgress({ fraction: duration ? Math.min(0.99, end / duration) : 0, speed: end / 1e6 / elapsed });
  }
  signal.throwIfAborted();
  audio$.complete();
  await Promise.race([dubbing.done, new Promise((stop) => signal.addEventListener('abort', stop, { once: true }))]);
  signal.throwIfAborted();
  await write(later(end, BEHIND));
  for (const track of tracks) await track.file.close();

  const title = (language: string) => nameOf(language as Language);
  const subtitles = await Promise.all(
    [...spec.to, spec.from].map(async (language) => {
      const path = join(folder, `${language}.vtt`);
      const own = cues.filter((cue) => cue.language === language);
      // Without a style sheet: FFmpeg reads no cue behind one.
      await writeFile(path, webvtt(own));
      return { path, language, title: title(language), own };
    }),
  );
  const [original, ...dubs] = tracks.map(({ name, wav }) => ({
    from: { wav },
    language: name === 'original' ? spec.from : name,
    title: name === 'original' ? 'Original' : title(name),
  }));
  const muxed = await mux({ original: file, out, audio: original ? [...dubs, original] : dubs, subtitles }, scope);
  const { captions } = options;
  for (const { language, own } of captions ? subtitles : []) {
    const path = join(dirname(out), `${basename(out, extname(out))}.${language}.${captions}`);
    await writeFile(path, captions === 'srt' ? srt(own, LOOK) : webvtt(own, LOOK));
  }
  const elapsed = (performance.now() - began) / 1_000;
  onProgress({ fraction: 1, speed: end / 1e6 / elapsed });
  return summary(lines, {
    out,
    elapsed,
    seconds: end / 1e6,
    notes: [
      ...(muxed.why ? [`Pictures were encoded anew: ${muxed.why}.`] : []),
      ...muxed.leftOut,
      ...complaints.values(),
    ],
  });
}

function summary(
  lines: readonly LineRecord[],
  facts: {
    readonly out: string;
    readonly elapsed: number;
    readonly seconds: number;
    readonly notes: readonly string[];
  },
): string {
  const of = (...outcomes: LineRecord['outcome'][]) => lines.filter((line) => outcomes.includes(line.outcome)).length;
  const speed = spread(lines.flatMap((line) => line.speed ?? []));
  return [
    `Wrote ${facts.out}: ${facts.seconds.toFixed(1)} s in ${facts.elapsed.toFixed(1)} s (${(facts.seconds / facts.elapsed).toFixed(1)} times as fast as it plays).`,
    `${lines.length} lines: ${of('dubbed', 'trimmed')} dubbed (${of('trimmed')} of them shortened), ${of('late', 'expired', 'refused')} left to the captions.`,
    ...(speed
      ? [`Speed p50 ${speed.p50.toFixed(2)}×, from ${speed.min.toFixed(2)}× to ${speed.max.toFixed(2)}×.`]
      : []),
    ...facts.notes,
  ].join('\n');
}

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { MonotonicClock } from '../media/clock.ts';
import { type Contents, probe } from '../media/probe.ts';
import { jpegAt, rawPictures, rawSound } from '../media/raw-pictures.ts';
import type { Scope } from '../media/scope.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import { ffprobe } from '../media/ffmpeg.ts';
import { RATE, type Watched, type WatchedVideo, evaluateVideo } from '../models/evaluate/evaluate-video.ts';
import { openJudges } from '../models/evaluate/judges.ts';
import { MEASURES, MEASURE_NAMES, VideoReport } from '../models/evaluate/video-report.ts';
import { registry } from '../models/index.ts';
import type { Stage } from '../pipeline/stage.ts';
import { type DubProgress, type EvalVideoOptions, UsageError } from './commands.ts';
import { enginesOf } from './engine-options.ts';
import { type Still, evalPage } from './eval-page.ts';
import { table } from './table.ts';

/** Times of which stills are shown, and how high they are. */
const STILLS = { times: 6, height: 320 };

interface Opened {
  readonly path: string;
  readonly contents: Contents;
  readonly track: number;
}

/** The index of an audio track among a file's streams. */
async function audioTrack(path: string, wanted: number | undefined, usual: number, scope: Scope): Promise<number> {
  const { streams = [] } = (await ffprobe(path, ['-show_streams', '-select_streams', 'a'], scope)) as {
    streams?: readonly { index: number }[];
  };
  const track = streams[(wanted ?? Math.min(usual, streams.length)) - 1];
  if (track) return track.index;
  const there = streams.length === 0 ? 'it has none' : `it has ${streams.length}`;
  throw new UsageError(`Cannot take audio track ${wanted ?? usual} of ${basename(path)}: ${there}.`);
}
async function opened(path: string, wanted: number | undefined, usual: number, scope: Scope): Promise<Opened> {
  const contents = await probe(path, 'file', scope);
  if (!contents.video) throw new UsageError(`Cannot measure ${basename(path)}: it has no moving pictures.`);
  return { path, contents, track: await audioTrack(path, wanted, usual, scope) };
}

/** Pictures with what a tracker sees in them; as many wait as it looks ahead. */
async function* watched(
  pictures: AsyncIterable<VideoFrame>,
  tracker: Stage<'faceTracker'>,
  scope: Scope,
): AsyncGenerator<Watched, void, void> {
  const waiting: VideoFrame[] = [];
  const remembered = async function* () {
    for await (const frame of pictures) {
      waiting.push(frame);
      yield frame;
    }
  };
  for await (const seen of tracker.run(remembered(), { signal: scope.signal, clock: new MonotonicClock() })) {
    const frame = waiting.shift();
    if (frame) yield { frame, seen };
  }
}
async function video(
  { path, contents, track }: Opened,
  tracker: Stage<'faceTracker'>,
  scope: Scope,
): Promise<WatchedVideo> {
  const pictures = watched(rawPictures(path, contents.video!, RATE, scope), tracker, scope);
  return { pictures, pcm: await rawSound(path, track, 16_000, scope) };
}

/** The face tracker that is named, or the first that is there; one for each video. */
async function trackers(
  named: readonly string[] | undefined,
  scope: Scope,
): Promise<[Stage<'faceTracker'>, Stage<'faceTracker'>]> {
  const all = registry();
  const { faceTracker, ...others } = enginesOf({ engine: named ?? [] }).engines;
  const [stage] = Object.keys(others);
  if (stage !== undefined) throw new UsageError(`--engine: only faceTracker is used here, received ${stage}`);
  const { engine, ...settings } = (faceTracker ?? {}) as { readonly engine?: string };
  const id = engine ?? all.pick('faceTracker')?.id;
  if (id === undefined) throw new UsageError('There is no face tracker; see: livedub engines');
  // One that is named may be told where its models are, and says itself what it misses there.
  const lacks = engine === undefined ? all.lacks('faceTracker', id) : [];
  if (lacks.length > 0) throw new UsageError(`The face tracker '${id}' needs ${lacks.join(', ')}.`);
  const load = () => all.load('faceTracker', id, settings, scope);
  return [await load(), await load()];
}

/** Times to show: the worst moments, and as many others as there is room for, evenly. */
export function stillTimes({ seconds, worst }: Pick<VideoReport, 'seconds' | 'worst'>): number[] {
  const times: number[] = [];
  const even = Array.from({ length: STILLS.times }, (_, n) => (seconds * (n + 0.5)) / STILLS.times);
  for (const time of [...worst.map(({ at }) => at), ...even]) {
    if (times.length < STILLS.times && times.every((other) => Math.abs(other - time) >= 0.5)) times.push(time);
  }
  return times.sort((a, b) => a - b);
}

/** The report as words for a terminal. */
export function inWords(report: VideoReport): string {
  const figure = (value: number | null) => (value === null ? '—' : String(Number(value.toPrecision(4))));
  const rows = MEASURE_NAMES.map((name) => {
    const { value, original, why } = report.measures[name];
    const { title, unit, better } = MEASURES[name];
    const best = { higher: 'higher', lower: 'lower', zero: 'near 0', one: 'near 1' }[better];
    return [title, figure(value), figure(original), unit, best, why ?? ''];
  });
  return table([['measure', 'dubbed', 'original', 'unit', 'better', 'why not'], ...rows]);
}

/**
 * `livedub eval video`: measures a dubbed video against its original. Writes a page, and JSON where that is asked for.
 *
 * @param given face trackers in place of those of the list
 * @returns what is printed
 */
export async function evalVideo(
  options: EvalVideoOptions,
  scope: Scope,
  onProgress: (progress: DubProgress) => void,
  given?: readonly [Stage<'faceTracker'>, Stage<'faceTracker'>],
): Promise<string> {
  const page = resolve(options.out ?? `${basename(options.dubbed, extname(options.dubbed))}.eval.html`);
  if (!/\.html?$/.test(page)) throw new UsageError('--out is a page: give it a name that ends in .html.');
  const original = await opened(options.original, options.originalTrack, 1, scope);
  // A dubbed file has the original's sound first, then one track per language.
  const dubbed = await opened(options.dubbed, options.track, 2, scope);
  const [first, second] = given ?? (await trackers(options.engine, scope));
  const lengths = [original, dubbed].map(({ contents }) => contents.duration).filter((length) => length !== null);
  const seconds = Math.min(...lengths) / 1e6;
  const start = performance.now();
  const report = await evaluateVideo({
    original: await video(original, first, scope),
    dubbed: await video(dubbed, second, scope),
    judges: await openJudges(scope),
    progress: (pictures) => {
      const done = pictures / RATE;
      const speed = done / ((performance.now() - start) / 1_000);
      onProgress({ fraction: Number.isFinite(seconds) ? Math.min(1, done / seconds) : 0, speed });
    },
  });
  scope.signal.throwIfAborted();
  const stills: Still[] = [];
  for (const at of stillTimes(report)) {
    const [before, after] = [
      await jpegAt(options.original, at, STILLS.height, scope),
      await jpegAt(options.dubbed, at, STILLS.height, scope),
    ];
    stills.push({ at, original: before, dubbed: after });
  }
  await mkdir(dirname(page), { recursive: true });
  const names = { original: basename(options.original), dubbed: basename(options.dubbed) };
  await writeFile(page, evalPage(report, names, stills));
  const json = JSON.stringify(VideoReport.parse(report), null, 2);
  if (options.json) return json;
  return `${inWords(report)}\n\n${report.pictures} pictures compared; the page is ${page}`;
}

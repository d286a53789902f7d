import { execFileSync } from 'node:child_process';
import { endOf } from '../../media/audio.ts';
import { annexB, avcConfiguration } from '../../media/avc.ts';
import type { Clock } from '../../media/clock.ts';
import { MatroskaReader } from '../../media/matroska.ts';
import type { OpenProgramme, ProgrammeInfo, ProgrammeItem } from '../../media/programme.ts';
import { type Span, at, later, samples } from '../../media/time.ts';
import { decode } from './recordings.ts';

export type Codec = 'VP8' | 'VP9' | 'H264';

const ENCODERS = {
  VP8: ['libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0'],
  VP9: ['libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0'],
  H264: ['libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0'],
} as const;

export const infoOf = (codec: Codec | null, sound = true): ProgrammeInfo => ({
  container: 'fake',
  duration: null,
  audio: sound ? { codec: 'pcm', rate: 48_000, channels: 1 } : null,
  video: codec && { codec, source: codec.toLowerCase(), width: 320, height: 320, fps: 25, why: null },
});

/** Sound in 20 ms items from 0 on. */
export const soundItems = (pcm: Float32Array): ProgrammeItem[] =>
  Array.from({ length: Math.floor(pcm.length / 960) }, (_, n) => ({
    kind: 'audio',
    start: samplesAt(n * 960),
    rate: 48_000,
    pcm: pcm.subarray(n * 960, (n + 1) * 960),
  }));
const samplesAt = (count: number) => at(samples(count, 48_000));

export const dueOf = (item: ProgrammeItem) => (item.kind === 'audio' ? endOf(item) : item.start);
export const merged = (...lists: ProgrammeItem[][]): ProgrammeItem[] =>
  lists.flat().sort((a, b) => a.start - b.start || dueOf(a) - dueOf(b));

/** Some seconds of a recording, 25 pictures a second of 320 × 320 and a key frame each second, and its sound. */
export function programmeOf(file: string, codec: Codec, seconds: number): ProgrammeItem[] {
  const from = [
    '-v',
    'error',
    '-i',
    file,
    '-t',
    `${seconds}`,
    '-an',
    '-vf',
    'fps=25,scale=320:320',
    '-pix_fmt',
    'yuv420p',
  ];
  const args = ['-c:v', ...ENCODERS[codec], '-b:v', '400k', '-g', '25', '-f', 'matroska', '-live', '1', '-'];
  const stream = execFileSync('ffmpeg', [...from, ...args], { maxBuffer: 1 << 28 });
  const pictures = new MatroskaReader().push(stream).map(({ track, start, keyFrame, data }): ProgrammeItem => {
    const frame = codec === 'H264' ? annexB(data, keyFrame, avcConfiguration(track.header)) : data;
    return { kind: 'video', start, keyFrame, codec, data: frame };
  });
  return merged(pictures, soundItems(decode(file, 48_000).subarray(0, seconds * 48_000)));
}

/** The items as another reading of the source would have them. */
export const shifted = (items: readonly ProgrammeItem[], by: number): ProgrammeItem[] =>
  items.map((item) => ({ ...item, start: at(item.start + by) }));

/** One time that a source is opened: it fails, or brings items, each when its time has come or at once, and then breaks off. */
export interface Reading {
  readonly info?: ProgrammeInfo;
  readonly items?: readonly ProgrammeItem[];
  /** Items come when their time has come. */
  readonly paced?: boolean;
  /** So many come at once all the same, as from a buffer. */
  readonly burst?: number;
  readonly fails?: Error;
  /** After the items nothing happens any more. */
  readonly hangs?: boolean;
}

/** Opens what `next` says each time. */
export function opener(clock: Clock, next: (opening: number) => Reading): OpenProgramme & { readonly times: number[] } {
  const times: number[] = [];
  const open: OpenProgramme = (scope) => {
    times.push(clock.now());
    const { info = infoOf(null), items = [], paced = false, burst = 0, fails, hangs } = next(times.length - 1);
    if (fails && items.length === 0) return Promise.reject(fails);
    const ended = new Promise<void>((done) => scope.defer(() => done()));
    return Promise.resolve({
      info,
      async *[Symbol.asyncIterator]() {
        const began = clock.now();
        const zero = items[Math.max(0, burst - 1)];
        const from = zero ? (burst > 0 ? dueOf(zero) : zero.start) : at(0);
        for (const [n, item] of items.entries()) {
          const due = later(began, (dueOf(item) - from) as Span);
          if (paced && n >= burst) await clock.until(due, scope.signal);
          yield item;
        }
        if (hangs) await ended;
        if (fails) throw fails;
      },
    });
  };
  return Object.assign(open, { times });
}

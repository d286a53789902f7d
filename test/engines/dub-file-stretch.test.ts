import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DubOptions } from '../../gateway/commands.ts';
import { dubFile } from '../../gateway/dub-file.ts';
import { root } from '../../gateway/root.ts';
import { Scope } from '../../media/scope.ts';
import { encodeWav } from '../../media/wav.ts';
import { psnr as planesPsnr } from '../../media/ssim.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';
import { lacking as withoutWeights, weights } from '../weights.ts';

/** Of two planes that are as large. */
const psnr = (a: Uint8Array, b: Uint8Array): number =>
  planesPsnr({ width: a.length, height: 1, pixels: a }, { width: b.length, height: 1, pixels: b });

const [SPEECH, CLIP, DENSE, CALM] = [
  'talking/musetalk/eng.wav',
  'talking/open-dubbing/englishvideo.mp4',
  'talking/video-retalking/face2.mp4',
  'talking/dh_live/000002.mp4',
] as const;
const lacking =
  ['ffmpeg', 'espeak-ng', 'apertium'].find((program) => spawnSync(program, ['--version']).error) ??
  (existsSync(join(root, 'dist/models/thread-main.js')) ? missing(SPEECH, CLIP, DENSE, CALM) : 'npm run build');

const folder = mkdtempSync(join(tmpdir(), 'livedub-dub-stretch-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const make = (name: string, ...args: string[]) => execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, path(name)]);

/** A voice that takes its time, and so needs more room than English leaves to Spanish. */
const slowVoice = (rate: number) => [`synthesizer=espeak{"rate":${rate},"fastest":${rate}}`];

async function dubbing(file: string, out: string, options: Partial<DubOptions> = {}, onProgress = (_: number) => {}) {
  await using scope = new Scope('test');
  const all = { file, from: 'en', to: ['es'], out: path(out), ...options };
  return await dubFile(all, scope, ({ fraction }) => onProgress(fraction));
}
/** When pictures are shown, in order, seconds. */
const times = (file: string): number[] =>
  execFileSync(
    'ffprobe',
    ['-v', 'error', '-select_streams', 'v', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', file],
    { encoding: 'utf8' },
  )
    .split('\n')
    .map((line) => Number.parseFloat(line))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
/** Pictures as they are coded. */
const coded = (file: string) =>
  execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-map', '0:v', '-c', 'copy', '-f', 'hash', '-'], {
    encoding: 'utf8',
  });
function sound(file: string, track: number): Float32Array {
  make('sound.wav', '-i', file, '-map', `0:a:${track}`);
  return decode(path('sound.wav'), 48_000);
}
const numbers = (said: string) => {
  const [, stretches, slow, most, added, whole, fewer] = (
    /slower in (\d+) stretch\w* \(([\d.]+) s of it, up to (\d+) % slower\) and is ([\d.]+) s longer: (\d+) lines are whole that would have been cut, (\d+) lose fewer/.exec(
      said,
    ) ?? []
  ).map(Number);
  return { stretches, slow, most, added, whole, fewer } as Record<string, number>;
};
const stillCut = (said: string) =>
  said.includes('and no word is cut') ? 0 : Number(/and (\d+) words are cut all the same/.exec(said)?.[1]);
/**
 * Where in `out` each picture of `source` is, each the next but for one at most: of all ways to lay them there, the one on which
 * they are most alike in all. Pictures of somebody who sits still are alike: `may` says which of them can follow each other.
 */
function placesIn(
  source: readonly Uint8Array[],
  out: readonly Uint8Array[],
  may: (picture: number, from: number, place: number) => boolean,
) {
  const ways: Map<number, { readonly sum: number; readonly alike: number; readonly from: number }>[] = [];
  for (const [n, picture] of source.entries()) {
    const here: (typeof ways)[number] = new Map();
    const before = ways.at(-1);
    for (let place = n; place <= Math.min(2 * n, out.length - 1); place += 1) {
      const froms = [place - 1, place - 2].filter((each) => before?.has(each) && may(n, each, place));
      if (before && froms.length === 0) continue;
      const from = froms.sort((a, b) => before!.get(b)!.sum - before!.get(a)!.sum)[0] ?? -1;
      const alike = Math.min(60, psnr(picture, out[place]!));
      here.set(place, { sum: (before?.get(from)?.sum ?? 0) + alike, alike, from });
    }
    ways.push(here);
  }
  let place = [...ways.at(-1)!].sort(([, a], [, b]) => b.sum - a.sum)[0]![0];
  return ways
    .reverse()
    .map((here) => {
      const found = { place, alike: here.get(place)!.alike };
      place = here.get(place)!.from;
      return found;
    })
    .reverse();
}

const runsOn = (said: string) => Number(/runs on for ([\d.]+) s/.exec(said)?.[1] ?? 0);
const madeIn = (said: string) => Number(/(\d+) pictures were made between others by minterpolate/.exec(said)?.[1]);

/** Loudness every 5 ms. */
const envelope = (pcm: Float32Array) =>
  Float64Array.from({ length: Math.floor(pcm.length / 240) }, (_, k) =>
    Math.sqrt(pcm.subarray(k * 240, (k + 1) * 240).reduce((sum, x) => sum + x * x, 0) / 240),
  );
/** How much later than where `shown` says sound is heard around some moments of the programme, ms: where speech begins and ends. */
function lags(
  was: Float64Array,
  is: Float64Array,
  shown: (t: number) => number,
  around: readonly number[],
): { readonly lag: number; readonly score: number }[] {
  return around.map((middle) => {
    let best = { lag: 0, score: -1 };
    for (let lag = -20; lag <= 20; lag += 1) {
      let [ab, aa, bb] = [0, 0, 1e-9];
      for (let t = middle - 0.9; t < middle + 0.9; t += 0.005) {
        const [a, b] = [was[Math.round(t * 200)] ?? 0, is[Math.round(shown(t) * 200) + lag] ?? 0];
        [ab, aa, bb] = [ab + a * b, aa + a * a, bb + b * b];
      }
      const score = ab / Math.sqrt(aa * bb);
      if (score > best.score) best = { lag: lag * 5, score };
    }
    return best;
  });
}
/** The brightness of every picture. */
function brightness(file: string, size: number): Uint8Array[] {
  const args = ['-v', 'error', '-i', file, '-map', '0:v', '-vsync', 'passthrough', '-f', 'rawvideo'];
  const all = execFileSync('ffmpeg', [...args, '-pix_fmt', 'gray', '-'], { maxBuffer: 1e9 });
  return Array.from({ length: all.length / size }, (_, n) => new Uint8Array(all.subarray(n * size, (n + 1) * size)));
}

const shortened = (said: string) => Number(/\((\d+) of them shortened\)/.exec(said)?.[1]);

/** Programme seconds between two marks: a white picture and a beep at once. */
const EVERY = 2.5;
const LENGTH = 30;
const BEEP = 7_000;

/** When each beep begins, seconds: where 2 ms of its pitch first reach half of its loudness. */
function beeps(pcm: Float32Array): number[] {
  const size = 96;
  const levels = Float64Array.from({ length: Math.floor(pcm.length / size) }, (_, k) => {
    let [re, im] = [0, 0];
    for (let i = 0; i < size; i += 1) {
      const phase = (2 * Math.PI * BEEP * (k * size + i)) / 48_000;
      re += pcm[k * size + i]! * Math.cos(phase);
      im += pcm[k * size + i]! * Math.sin(phase);
    }
    return (2 * Math.hypot(re, im)) / size;
  });
  const found: number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  levels.forEach((level, k) => {
    if (level < 0.15) return;
    if (k - last > 250) found.push((k * size) / 48_000);
    last = k;
  });
  return found;
}
/** When each white picture is shown. */
function flashes(file: string): number[] {
  const args = ['-v', 'error', '-i', file, '-map', '0:v', '-vf', 'scale=1:1,format=gray', '-vsync', 'passthrough'];
  const grey = execFileSync('ffmpeg', [...args, '-f', 'rawvideo', '-'], { maxBuffer: 1e8 });
  return times(file).filter((_, n) => grey[n]! > 128 && !(n > 0 && grey[n - 1]! > 128));
}

describe.skipIf(lacking)(
  `a recording that runs slower where its dub needs room (needs ${lacking ?? 'nothing'})`,
  () => {
    beforeAll(() => {
      const pcm = decode(recording(SPEECH), 48_000).slice(0, LENGTH * 48_000);
      for (let t = EVERY; t < LENGTH; t += EVERY) {
        const from = Math.round(t * 48_000);
        for (let i = 0; i < 1_440; i += 1)
          pcm[from + i] = pcm[from + i]! * 0.6 + 0.3 * Math.sin((2 * Math.PI * BEEP * i) / 48_000);
      }
      writeFileSync(path('marked.wav'), encodeWav(pcm, 48_000));
      const picture = `color=black:s=160x90:r=50:d=${LENGTH},drawbox=t=fill:color=white:enable='gt(t,1)*lt(mod(t+0.001,${EVERY}),0.03)'`;
      const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p'];
      make(
        'marked.mp4',
        '-f',
        'lavfi',
        '-i',
        picture,
        '-i',
        path('marked.wav'),
        ...h264,
        '-c:a',
        'aac',
        '-b:a',
        '192k',
      );
    });

    test('speaks lines whole that would be cut, with every picture where its sound is', async () => {
      const kept = await dubbing(path('marked.mp4'), 'kept.mp4', { engine: slowVoice(125) });
      const progress: number[] = [];
      const said = await dubbing(path('marked.mp4'), 'slow.mp4', { engine: slowVoice(125), video: 'stretch' }, (each) =>
        progress.push(each),
      );
      const { stretches, slow, most, added, whole, fewer } = numbers(said);
      expect(shortened(kept)).toBeGreaterThanOrEqual(3);
      expect(shortened(said)).toBe(shortened(kept) - whole!);
      expect(whole! + fewer!).toBeGreaterThanOrEqual(3);
      expect(stretches).toBeGreaterThanOrEqual(2);
      expect(most).toBeLessThanOrEqual(20);
      expect(added).toBeLessThanOrEqual(slow! * 0.2 + 0.1);
      expect(said).toMatch(/Speed p50 \d\.\d+×, from \d\.\d+× to 1\.20×/);
      expect(said).toContain('Pictures are the very same ones, some of them shown longer.');

      // The programme is as much longer as it says, and its pictures are the same.
      expect(coded(path('slow.mp4'))).toBe(coded(path('marked.mp4')));
      const original = sound(path('slow.mp4'), 1);
      expect(Math.abs(original.length / 48_000 - LENGTH - added! - runsOn(said))).toBeLessThan(0.15);
      expect(Math.abs(sound(path('slow.mp4'), 0).length - original.length)).toBeLessThan(2_000);

      // What was shown and heard at once still is.
      const [heard, shown] = [beeps(original), flashes(path('slow.mp4'))];
      const marks = Math.ceil(LENGTH / EVERY) - 1;
      expect(shown.length).toBe(marks);
      expect(heard.length).toBe(marks);
      expect(shown.at(-1)! - (LENGTH - EVERY)).toBeGreaterThan(added! * 0.5);
      const apart = heard.map((t, n) => t - shown[n]!);
      for (const [n, offset] of apart.entries()) expect(Math.abs(offset), `mark ${n}`).toBeLessThanOrEqual(0.02);

      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      expect(progress.some((share) => share > 0.7 && share < 0.9)).toBe(true);
      expect(progress.at(-1)).toBe(1);
      expect(readdirSync(folder).filter((name) => name.includes('part'))).toEqual([]);

      // Captions keep to the slower programme: none lies beyond what the file has, and the last is as late as its words.
      make('es.srt', '-i', path('slow.mp4'), '-map', '0:s:0');
      make('kept.srt', '-i', path('kept.mp4'), '-map', '0:s:1');
      make('en.srt', '-i', path('slow.mp4'), '-map', '0:s:1');
      const starts = (name: string) =>
        [...readFileSync(path(name), 'utf8').matchAll(/^(\d+):(\d+):(\d+),(\d+) -->/gm)].map(
          ([, h, m, s, ms]) => Number(h) * 3_600 + Number(m) * 60 + Number(s) + Number(ms) / 1_000,
        );
      const [before, after] = [starts('kept.srt'), starts('en.srt')];
      expect(after.length).toBe(before.length);
      expect(starts('es.srt').length).toBeGreaterThanOrEqual(before.length - 1);
      after.forEach((start, n) => expect(start).toBeGreaterThanOrEqual(before[n]! - 0.001));
      expect(after.at(-1)! - before.at(-1)!).toBeGreaterThan(added! * 0.5);
    }, 180_000);

    test('a talking head that hardly pauses: its sound is where its pictures are, from start to end', async () => {
      const said = await dubbing(recording(DENSE), 'talk.mkv', { engine: slowVoice(100), video: 'stretch' });
      expect(numbers(said)['stretches']).toBeGreaterThanOrEqual(1);
      expect(coded(path('talk.mkv'))).toBe(coded(recording(DENSE)));
      const [before, after] = [times(recording(DENSE)), times(path('talk.mkv'))];
      expect(after.length).toBe(before.length);
      // Where a picture went, the sound around it went, too: loudness every 5 ms, compared where speech begins and ends.
      const [was, is] = [envelope(decode(recording(DENSE), 48_000)), envelope(sound(path('talk.mkv'), 1))];
      const shown = (t: number) => {
        const n = Math.max(
          0,
          before.findLastIndex((time) => time - before[0]! <= t),
        );
        const step = before[n + 1] === undefined ? 1 : (after[n + 1]! - after[n]!) / (before[n + 1]! - before[n]!);
        return after[n]! - after[0]! + (t - (before[n]! - before[0]!)) * step;
      };
      for (const { lag, score } of lags(was, is, shown, [1, 2.5, 4])) {
        expect(score).toBeGreaterThan(0.8);
        expect(Math.abs(lag)).toBeLessThanOrEqual(20);
      }
    }, 120_000);

    test('beyond a fifth, fewer words are cut: pictures are made between others, and the others are where their sound is', async () => {
      const SIZE = 240;
      const scale = ['-vf', `scale=${SIZE}:${SIZE}`, '-c:v', 'libx264', '-bf', '2', '-crf', '12', '-c:a', 'copy'];
      make('small.mp4', '-i', recording(DENSE), ...scale);
      const fifth = await dubbing(path('small.mp4'), 'fifth.mkv', { engine: slowVoice(100), video: 'stretch' });
      const progress: number[] = [];
      const how = { engine: slowVoice(100), video: 'stretch', stretchMost: 1.5 } as const;
      const said = await dubbing(path('small.mp4'), 'half.mp4', how, (each) => progress.push(each));
      expect(stillCut(fifth)).toBeGreaterThan(0);
      expect(stillCut(said)).toBeLessThan(stillCut(fifth));
      expect(fifth).toContain('Pictures are the very same ones');
      expect(said).not.toContain('Pictures are the very same ones');
      expect(numbers(said)['most']).toBeGreaterThan(20);
      expect(numbers(said)['most']).toBeLessThanOrEqual(50);
      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      expect(progress.some((share) => share > 0.55 && share < 0.9)).toBe(true);

      const [source, out] = [
        brightness(path('small.mp4'), SIZE * SIZE),
        brightness(path('half.mp4'), SIZE * SIZE),
      ] as const;
      const [before, after] = [times(path('small.mp4')), times(path('half.mp4'))];
      expect(out.length).toBe(after.length);
      expect(madeIn(said)).toBeGreaterThan(source.length / 4);
      const closing = Number(/(\d+) idle pictures/.exec(said)?.[1] ?? 0);
      expect(out.length).toBeGreaterThanOrEqual(source.length + madeIn(said) + closing);

      // The programme's own pictures are all there, in order, with one made between two at most.
      const slopeOf = (n: number, a: number, b: number) => (b - a) / (before[n]! - before[n - 1]!);
      // To a tick of Matroska at either end.
      const may = (n: number, from: number, place: number) => {
        const slope = slopeOf(n, after[from]!, after[place]!);
        return slope > 0.94 && slope < 1.5 + 0.06;
      };
      const found = placesIn(source, out, may).map(({ place, alike }) => {
        expect(alike).toBeGreaterThan(35);
        return after[place]!;
      });
      const slopes = found.slice(1).map((t, n) => slopeOf(n + 1, found[n]!, t));
      expect(Math.max(...slopes)).toBeGreaterThan(1.25);
      for (const [n, t] of after.slice(1).entries()) expect(t - after[n]!).toBeLessThanOrEqual(0.04 * 1.2 + 0.002);

      const original = sound(path('half.mp4'), 1);
      const shown = (t: number) => {
        const n = Math.max(
          0,
          before.findLastIndex((time) => time - before[0]! <= t),
        );
        return found[n]! - found[0]! + (t - (before[n]! - before[0]!)) * (slopes[n] ?? 1);
      };
      const [was, is] = [envelope(decode(path('small.mp4'), 48_000)), envelope(original)];
      for (const { lag, score } of lags(was, is, shown, [1, 2.5, 4])) {
        expect(score).toBeGreaterThan(0.8);
        expect(Math.abs(lag)).toBeLessThanOrEqual(20);
      }
      expect(sound(path('half.mp4'), 0).length / 48_000 - after.at(-1)!).toBeLessThan(0.15);
    }, 240_000);

    test('marks that are seen and heard at once still are where the programme runs half as fast again', async () => {
      const how = { engine: slowVoice(100), video: 'stretch', stretchMost: 1.5 } as const;
      const length = 14;
      make('short-marked.mp4', '-i', path('marked.mp4'), '-t', String(length), '-c', 'copy');
      const said = await dubbing(path('short-marked.mp4'), 'half-marked.mkv', how);
      expect(numbers(said)['most']).toBeGreaterThan(20);
      const [heard, shown] = [beeps(sound(path('half-marked.mkv'), 1)), flashes(path('half-marked.mkv'))];
      expect(shown.length).toBe(Math.ceil(length / EVERY) - 1);
      expect(heard.length).toBe(shown.length);
      for (const [n, t] of heard.entries()) expect(Math.abs(t - shown[n]!), `mark ${n}`).toBeLessThanOrEqual(0.02);
    }, 180_000);

    const NETWORKS = ['yunet', 'facemesh', 'fsanet'];
    const unseeing = withoutWeights(...NETWORKS.map((name) => `face/${name}`));
    test.skipIf(unseeing)(
      `a last line that runs on is heard to its end, over idle pictures of the speaker (needs ${unseeing ?? 'nothing'})`,
      async () => {
        mkdirSync(path('models'));
        for (const name of NETWORKS) symlinkSync(weights(`face/${name}`), join(path('models'), name));
        // Somebody whose mouth is closed now and then, under speech that lasts to the end.
        const [WIDTH, HEIGHT] = [240, 360];
        const scale = ['-vf', `scale=${WIDTH}:${HEIGHT}`, '-c:v', 'libx264', '-crf', '12', '-c:a', 'copy'];
        const both = ['-i', recording(CALM), '-i', recording(DENSE), '-map', '0:v', '-map', '1:a', '-t', '5'];
        make('talks.mp4', ...both, ...scale);
        const sees = `faceTracker=faces{"models":"${path('models')}","embedding":"none"}`;
        const how = { video: 'stretch', stretchMost: 1.3 } as const;
        const idle = await dubbing(path('talks.mp4'), 'idle.mp4', { ...how, engine: [...slowVoice(100), sees] });
        const [, more, count] = /runs on for ([\d.]+) s .*: (\d+) idle pictures/.exec(idle)?.map(Number) ?? [];
        expect(more).toBeGreaterThan(0.2);
        expect(Math.abs(count! / 25 - more!)).toBeLessThan(0.15);
        const dub = sound(path('idle.mp4'), 0);
        const original = sound(path('idle.mp4'), 1);
        // The dub speaks on where the original has ended.
        const loudness = (pcm: Float32Array) => Math.sqrt(pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length);
        const tail = Math.round((more! - 0.1) * 48_000);
        expect(loudness(dub.slice(-tail))).toBeGreaterThan(0.01);
        expect(loudness(original.slice(-tail))).toBeLessThan(0.001);
        expect(Math.abs(times(path('idle.mp4')).at(-1)! + 0.04 - dub.length / 48_000)).toBeLessThan(0.15);
        // They move, and are no one else's: each is like the last picture, and not the same.
        const all = brightness(path('idle.mp4'), WIDTH * HEIGHT);
        const [last, ...idles] = all.slice(-count! - 1) as [Uint8Array, ...Uint8Array[]];
        for (const each of idles) expect(psnr(last, each)).toBeGreaterThan(15);
        expect(new Set(idles.map((each) => psnr(last, each).toFixed(1))).size).toBeGreaterThan(count! / 3);

        const blind = await dubbing(path('talks.mp4'), 'held.mp4', {
          video: 'stretch',
          engine: [...slowVoice(100), 'faceTracker=faces{"models":"/nowhere"}'],
        });
        expect(blind).toMatch(/the last picture stays/);
      },
      240_000,
    );

    test('an engine for pictures that is not there is named before any work is done', async () => {
      const how = { engine: ['interpolator=rife'], video: 'stretch', stretchMost: 1.5 } as const;
      await expect(dubbing(recording(CLIP), 'never.mp4', how)).rejects.toThrow(/--stretch-most 1.5: .*rife\.onnx/);
    });

    test('where every line fits, the file is the one without stretching, byte for byte', async () => {
      await dubbing(recording(CLIP), 'as-it-is.mp4');
      const said = await dubbing(recording(CLIP), 'not-slowed.mp4', { video: 'stretch' });
      expect(said).toContain('Every line has the room it can be given: the programme runs as it did');
      expect(readFileSync(path('not-slowed.mp4')).equals(readFileSync(path('as-it-is.mp4')))).toBe(true);
    }, 120_000);

    test('stopped while the slower programme is made, it leaves no file', async () => {
      const scope = new Scope('test');
      const stopped = dubFile(
        {
          file: recording(CLIP),
          from: 'en',
          to: ['es'],
          out: path('none.mp4'),
          engine: slowVoice(100),
          video: 'stretch',
        },
        scope,
        ({ fraction }) => {
          if (fraction > 0.75) void scope.close();
        },
      );
      await expect(stopped).rejects.toThrow();
      await scope.close();
      expect(readdirSync(folder).filter((name) => name.includes('none'))).toEqual([]);
    }, 120_000);
  },
);

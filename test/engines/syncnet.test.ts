import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { ffmpeg, inputFile } from '../../media/ffmpeg.ts';
import { probe } from '../../media/probe.ts';
import { rawPictures } from '../../media/raw-pictures.ts';
import { luma, ssim } from '../../media/ssim.ts';
import { at } from '../../media/time.ts';
import { type Box, UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { features, frechetDistance, lpips, openInception, openLpips } from '../../models/evaluate/perceptual.ts';
import { COEFFICIENTS } from '../../models/dsp/lifted-mfcc.ts';
import type { Network } from '../../models/runtime/tensor.ts';
import { missing, recording } from '../fakes/recordings.ts';
import { Scope } from '../../media/scope.ts';
import {
  CROP,
  type FacePlace,
  smoothedPlace,
  syncCoefficients,
  syncCrop,
} from '../../models/evaluate/sync-features.ts';
import {
  type SyncNetworks,
  SyncTally,
  SyncWatch,
  embedded,
  openSyncNet,
  pixelsOf,
  soundLook,
  stacked,
} from '../../models/evaluate/syncnet.ts';

const DIRECTORY = fileURLToPath(new URL('../fixtures/syncnet', import.meta.url));
interface Reference {
  readonly count: number;
  readonly mfcc: number[][];
  readonly boxes: [left: number, top: number, right: number, bottom: number][];
  readonly crops: Record<string, number[]>;
  readonly lips: number[][];
  readonly sound: number[][];
  readonly distances: number[];
  readonly lseD: number;
  readonly lseC: number;
  readonly offset: number;
}
const reference = JSON.parse(readFileSync(`${DIRECTORY}/reference.json`, 'utf8')) as Reference;

/** The sound of models/export/syncnet.py. */
function sound(samples: number): Float32Array {
  let seed = 7;
  return Float32Array.from({ length: samples }, (_, n) => {
    seed = (seed * 16_807) % 2_147_483_647;
    const t = n / 16_000;
    const hum = 0.3 * Math.sin(2 * Math.PI * 180 * t) * (1 + Math.sin(2 * Math.PI * 3 * t));
    return Math.round((hum + 0.05 * (seed / 2_147_483_647 - 0.5)) * 32_767 * 0.8) / 32_768;
  });
}
/** Its pictures. */
function picture(n: number) {
  const bgr = new Uint8Array(96 * 80 * 3);
  const opening = 2 + ((n * 7) % 9);
  for (let y = 0, i = 0; y < 80; y += 1) {
    for (let x = 0; x < 96; x += 1, i += 3) {
      const base = (x * 3 + y * 2 + n * 5) % 256;
      const bar = y >= 50 && y < 50 + opening && x >= 40 && x < 60;
      bgr.set(bar ? [20, 20, 20] : [base, (base * 2 + 40) % 256, 255 - base], i);
    }
  }
  return { left: 0, top: 0, width: 96, height: 80, bgr };
}

describe('SyncNet, narrow and random, against the code of its authors', () => {
  const scope = new Scope('syncnet');
  afterAll(() => scope.close());
  const pcm = sound(reference.count * 640);
  const mfcc = syncCoefficients(pcm);
  const places = reference.boxes.map(([left, top, right, bottom]): FacePlace => ({
    x: (left + right) / 2,
    y: (top + bottom) / 2,
    half: Math.max(bottom - top, right - left) / 2,
  }));
  const crops = places.map((_, n) => syncCrop(picture(n), smoothedPlace(places, n)));
  const looks = Array.from({ length: reference.count - 5 }, (_, n) => n);
  const open = async () => (await openSyncNet(scope, DIRECTORY)) as SyncNetworks;

  test('hears the same coefficients', () => {
    // A window of 400 samples every 160, the last filled up.
    expect(mfcc).toHaveLength(COEFFICIENTS * 119);
    for (const [k, row] of reference.mfcc.entries()) {
      expect(row.length).toBe(Math.ceil(mfcc.length / COEFFICIENTS / 6));
      for (const [n, value] of row.entries())
        expect(Math.abs(mfcc[6 * n * COEFFICIENTS + k]! - value)).toBeLessThan(1e-3);
    }
  });

  test('sees the same crops, to the byte', () => {
    for (const [n, values] of Object.entries(reference.crops)) {
      const crop = crops[Number(n)]!;
      const mine: number[] = [];
      for (let y = 3; y < CROP; y += 32) {
        for (let x = 5; x < CROP; x += 32) mine.push(...crop.subarray(3 * (y * CROP + x), 3 * (y * CROP + x) + 3));
      }
      expect([n, mine]).toEqual([n, values]);
    }
  });

  test('makes the same embeddings, distances and scores of them', { timeout: 60_000 }, async () => {
    const networks = await open();
    const lips: Float32Array[] = [];
    for (const n of looks) {
      const look = stacked(crops.slice(n, n + 5));
      lips.push(...(await embedded(networks.lips, 'lips', [look], [3, 5, CROP, CROP])));
    }
    const heard = await embedded(
      networks.sound,
      'sound',
      looks.map((n) => soundLook(mfcc, 4 * n)),
      [1, COEFFICIENTS, 20],
    );
    const worst = (mine: readonly Float32Array[], theirs: readonly number[][]) =>
      Math.max(...theirs.flatMap((row, n) => row.map((value, i) => Math.abs(mine[6 * n]![i]! - value))));
    expect(worst(lips, reference.lips)).toBeLessThan(1e-3);
    expect(worst(heard, reference.sound)).toBeLessThan(1e-3);
    const tally = new SyncTally();
    tally.add(lips, heard);
    const { lseD, lseC, late, distances } = tally.result!;
    for (const [n, value] of reference.distances.entries()) expect(Math.abs(distances[n]! - value)).toBeLessThan(1e-3);
    expect(Math.abs(lseD - reference.lseD)).toBeLessThan(1e-3);
    expect(Math.abs(lseC - reference.lseC)).toBeLessThan(1e-3);
    expect(late).toBe(-reference.offset);
  });

  test('says what to do where it is not there', async () => {
    expect(await openSyncNet(scope, '/nowhere')).toMatch(/models pull syncnet.*models\/export\/syncnet\.py/);
  });
});

describe('a face that is watched', () => {
  const scope = new Scope('sync watch');
  afterAll(() => scope.close());
  const frameOf = (n: number): VideoFrame => {
    const y = Uint8Array.from(
      { length: 96 * 80 },
      (_, i) => (((i % 96) * 3 + Math.floor(i / 96) * 2 + n * 5) % 200) + 20,
    );
    const chroma = (by: number) => Uint8Array.from({ length: 48 * 40 }, (_, i) => 100 + ((i * by + n) % 50));
    return { width: 96, height: 80, y, u: chroma(3), v: chroma(7), start: at(n * 40_000), colour: UNSPECIFIED };
  };
  const boxOf = (n: number): Box => ({ left: 20 + (n % 5), top: 10 + n * 0.3, width: 40, height: 46 + (n % 3) });

  test(
    'is scored as all of it at once would be, from where it comes into the picture',
    { timeout: 60_000 },
    async () => {
      const networks = (await openSyncNet(scope, DIRECTORY)) as SyncNetworks;
      const [first, count] = [10, 24];
      const mfcc = syncCoefficients(sound((first + count) * 640));
      const watched = new SyncTally();
      const watch = new SyncWatch(networks, mfcc, watched);
      for (let n = 0; n < count; n += 1) await watch.push(first + n, frameOf(n), boxOf(n));
      await watch.end();

      const places = Array.from({ length: count }, (_, n): FacePlace => {
        const { left, top, width, height } = boxOf(n);
        return { x: left + width / 2, y: top + height / 2, half: Math.max(width, height) / 2 };
      });
      const crops = places.map((_, n) => {
        const place = smoothedPlace(places, n);
        return syncCrop(pixelsOf(frameOf(n), place), place);
      });
      const looks = Array.from({ length: count - 5 }, (_, n) => n);
      const lips = await embedded(
        networks.lips,
        'lips',
        looks.map((n) => stacked(crops.slice(n, n + 5))),
        [3, 5, CROP, CROP],
      );
      const heard = await embedded(
        networks.sound,
        'sound',
        looks.map((n) => soundLook(mfcc, 4 * (first + n))),
        [1, COEFFICIENTS, 20],
      );
      const whole = new SyncTally();
      whole.add(lips, heard);
      for (const [n, value] of whole.result!.distances.entries()) {
        expect(watched.result!.distances[n]).toBeCloseTo(value, 4);
      }
    },
  );

  test('for less than six pictures says nothing', async () => {
    const networks = (await openSyncNet(scope, DIRECTORY)) as SyncNetworks;
    const tally = new SyncTally();
    const watch = new SyncWatch(networks, syncCoefficients(sound(6_400)), tally);
    for (let n = 0; n < 5; n += 1) await watch.push(n, frameOf(n), boxOf(n));
    await watch.end();
    expect(tally.result).toBeUndefined();
  });
});

describe('pictures are judged, by narrow and random networks, against SciPy and PyTorch', () => {
  const scope = new Scope('perceptual');
  afterAll(() => scope.close());
  const folder = fileURLToPath(new URL('../fixtures/perceptual', import.meta.url));
  const theirs = JSON.parse(readFileSync(`${folder}/reference.json`, 'utf8')) as {
    lpips: number[];
    fid: number;
    features: number[];
  };
  /** The pictures of models/export/perceptual.py. */
  const waves = (n: number, size: number, seed: number) =>
    Float32Array.from({ length: 3 * size * size }, (_, i) => {
      const [c, y, x] = [Math.floor(i / size / size), Math.floor(i / size) % size, i % size];
      return Math.floor(127.5 + 127 * Math.sin(x * 0.02 * (n + c + 1) + y * 0.013 * (c + seed) + seed * n));
    });

  test('LPIPS', async () => {
    const network = (await openLpips(scope, folder)) as Network;
    for (const [n, value] of theirs.lpips.entries()) {
      const found = await lpips(network, waves(n, 96, 1), waves(n, 96, 2), 96);
      expect(Math.abs(found - value)).toBeLessThan(1e-3);
    }
    expect(await lpips(network, waves(0, 96, 1), waves(0, 96, 1), 96)).toBe(0);
  });
  test('FID', async () => {
    const network = (await openInception(scope, folder)) as Network;
    const sets: Float32Array[][] = [[], []];
    for (let n = 0; n < 6; n += 1) for (const k of [0, 1]) sets[k]!.push(await features(network, waves(n, 299, 3 + k)));
    for (const [n, value] of theirs.features.entries()) expect(sets[0]![0]![n]).toBeCloseTo(value, 3);
    expect(Math.abs(frechetDistance(sets[0]!, sets[1]!)! - theirs.fid)).toBeLessThan(1e-3);
  });
  test('SSIM, as FFmpeg has it', async () => {
    const source = recording('talking/video-retalking/face2.mp4');
    if (missing('talking/video-retalking/face2.mp4')) return;
    const folder = mkdtempSync(join(tmpdir(), 'livedub-ssim-'));
    scope.defer(() => rmSync(folder, { recursive: true }));
    const file = (name: string) => join(folder, name);
    const made = async (name: string, ...args: string[]) => {
      await ffmpeg(
        ['-y', ...inputFile(source), '-frames:v', '4', '-an', '-vf', 'scale=320:320', ...args, file(name)],
        scope,
      ).done;
      const { video } = await probe(file(name), 'file', scope);
      const all: VideoFrame[] = [];
      for await (const each of rawPictures(file(name), video!, 25, scope)) all.push(each);
      return all;
    };
    const a = await made('a.mkv', '-c:v', 'ffv1', '-pix_fmt', 'yuv420p');
    const b = await made('b.mkv', '-c:v', 'libx264', '-crf', '38', '-bf', '0', '-pix_fmt', 'yuv420p');
    const log = file('ssim.log');
    const compare = ['-lavfi', `[0:v][1:v]ssim=stats_file=${log}`, '-f', 'null', '-'];
    await ffmpeg([...inputFile(file('a.mkv')), ...inputFile(file('b.mkv')), ...compare], scope).done;
    const told = [...readFileSync(log, 'utf8').matchAll(/Y:([\d.]+)/g)].map(([, value]) => Number(value));
    expect(told).toHaveLength(4);
    for (const [n, value] of told.entries())
      expect(Math.abs(ssim(luma(a[n]!), luma(b[n]!)) - value)).toBeLessThan(2e-4);
  });
});

test('sound that comes three pictures late is found to', () => {
  let seed = 5;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const lips = Array.from({ length: 60 }, () => Float32Array.from({ length: 8 }, random));
  const tally = new SyncTally();
  tally.add(
    lips,
    lips.map((_, n) => lips[n - 3] ?? new Float32Array(8).fill(9)),
  );
  expect(tally.result!.late).toBe(3);
});

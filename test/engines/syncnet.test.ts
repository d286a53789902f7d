import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import {
  COEFFICIENTS,
  CROP,
  type FacePlace,
  smoothedPlace,
  syncCoefficients,
  syncCrop,
} from '../../models/evaluate/sync-features.ts';
import {
  type SyncNetworks,
  SyncTally,
  embedded,
  openSyncNet,
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

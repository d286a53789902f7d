import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COLUMNS, MOST_TILES, Storyboard, TILE, thumbnails } from '../../gateway/outlet/storyboard.ts';
import { shrunk, sizeWithin } from '../../media/shrink.ts';
import { at, seconds } from '../../media/time.ts';

/** A picture of one brightness. */
const tile = (luma: number, width = 160, height = 90) => ({
  ...{ width, height, y: new Uint8Array(width * height).fill(luma) },
  ...{ u: new Uint8Array((width * height) / 4).fill(1), v: new Uint8Array((width * height) / 4).fill(2) },
});
const CUE = /^([\d:.]+) --> ([\d:.]+)\nsheet#xywh=(\d+),(\d+),(\d+),(\d+)$/gmu;
const cuesIn = (text: string) =>
  [...text.matchAll(CUE)].map(([, start = '', end = '', ...box]) => ({
    ...{ start: micros(start), end: micros(end), box: box.map(Number) },
  }));
const micros = (text: string) => text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) * 1e6;

describe('a storyboard', () => {
  test('takes a picture every two seconds, or as many as a sheet has over a long window', () => {
    const often = (window: number) => {
      const board = new Storyboard(seconds(window));
      for (let t = 0; t < 2 * window; t += 0.5)
        if (board.due(at(t * 1e6))) board.add({ at: at(t * 1e6), picture: tile(7, 2, 2) });
      return board;
    };
    expect(often(120).tiles.map((each) => each.at / 1e6)).toEqual(Array.from({ length: 61 }, (_, n) => 118 + 2 * n));
    const day = often(21_600);
    expect(day.tiles.length).toBeLessThanOrEqual(MOST_TILES);
    expect(day.tiles.length).toBeGreaterThan(MOST_TILES - 4);
    expect(day.bytes).toBe(day.tiles.length * 6);
  });

  test('each cue names the cell of the sheet where its picture is, also on a sheet that is a little newer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 700 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 150 }),
        fc.nat(2),
        (window, steps, newer) => {
          const board = new Storyboard(seconds(window));
          let now = 0;
          let luma = 0;
          const shade = new Map<number, number>();
          const add = (step: number) => {
            now += step * 1e6;
            if (!board.due(at(now))) return;
            luma = (luma % 250) + 1;
            shade.set(now, luma);
            board.add({ at: at(now), picture: tile(luma, 6, 4) });
          };
          steps.forEach(add);
          const cues = cuesIn(board.track('sheet', at(now + 1e6)));
          const kept = board.tiles.map((each) => each.at);
          expect(cues.map(({ start }) => start)).toEqual(kept);
          cues.forEach(({ end }, n) => expect(end).toBe(kept[n + 1] ?? now + 1e6));
          for (let n = 0; n < newer; n += 1) add(2);
          const sheet = board.sheet()!;
          expect(sheet.width).toBe(TILE.width * COLUMNS);
          const still = new Set<number>(board.tiles.map((each) => each.at));
          for (const { start, box } of cues) {
            const [left = 0, top = 0, width, height] = box;
            expect([width, height]).toEqual([6, 4]);
            // What is not kept any more may be gone; nothing else may be in its place.
            if (still.has(start)) expect(sheet.y[(top + 3) * sheet.width + left + 5]).toBe(shade.get(start));
          }
        },
      ),
      { endOnFailure: true },
    );
  });

  test('is a WebVTT file of media fragments', () => {
    const box = { left: 160, top: 0, width: 160, height: 90 };
    expect(thumbnails([{ start: 2e6, end: 4e6, box }], 'a.jpg')).toBe(
      'WEBVTT\n\n00:00:02.000 --> 00:00:04.000\na.jpg#xywh=160,0,160,90\n',
    );
  });
});

describe('a smaller picture', () => {
  test('keeps its shape, fits, and is even', () => {
    expect(sizeWithin({ width: 1920, height: 1080 }, TILE)).toEqual({ width: 160, height: 90 });
    expect(sizeWithin({ width: 1080, height: 1920 }, TILE)).toEqual({ width: 50, height: 90 });
    expect(sizeWithin({ width: 64, height: 48 }, TILE)).toEqual({ width: 64, height: 48 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8_000 }), fc.integer({ min: 1, max: 8_000 }), (width, height) => {
        const size = sizeWithin({ width, height }, TILE);
        expect([size.width % 2, size.height % 2]).toEqual([0, 0]);
        expect(size.width >= 2 && size.height >= 2 && size.width <= 160 && size.height <= 90).toBe(true);
      }),
      { endOnFailure: true },
    );
  });
  test('has the mean of the pixels that each takes the place of', () => {
    const y = Uint8Array.from({ length: 64 }, (_, n) => n);
    const u = Uint8Array.from({ length: 16 }, (_, n) => 10 * n);
    const small = shrunk({ width: 8, height: 8, y, u, v: u }, { width: 2, height: 2 });
    const mean = (of: readonly number[]) => Math.round(of.reduce((sum, one) => sum + one, 0) / of.length);
    const left = [...y].filter((_, n) => n % 8 < 4 && n < 32);
    expect(small.y[0]).toBe(mean(left));
    expect([...small.u]).toEqual([mean([...u])]);
  });
  test('has no pixel that is none of the larger one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 2, max: 60 }), (width, height) => {
        const half = ((width + 1) >> 1) * ((height + 1) >> 1);
        const picture = { width, height, y: new Uint8Array(width * height).fill(99), u: new Uint8Array(half).fill(98) };
        const small = shrunk({ ...picture, v: picture.u }, sizeWithin(picture, { width: 30, height: 20 }));
        expect(new Set(small.y)).toEqual(new Set([99]));
        expect(new Set([...small.u, ...small.v])).toEqual(new Set([98]));
      }),
      { endOnFailure: true },
    );
  });
});

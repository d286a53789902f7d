import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clockOffset, figureOf, journey } from '../../bench/doors/delays.ts';
import { UnknownDoor, askedFor } from '../../bench/doors/doors.ts';
import { doorsMarkdown, doorsPage, doorsText, doorsVerdicts } from '../../bench/doors/doors-text.ts';
import { heldAt } from '../../bench/doors/growing.ts';
import { type Measured, beyondRtp, measured, unmeasured, worst } from '../../bench/doors/measured.ts';
import { joined } from '../../bench/doors/paced.ts';
import {
  CELLS,
  NUMBERS,
  READ,
  StripReader,
  cellsIn,
  cellsOf,
  numberIn,
  stamp,
  stripHeight,
} from '../../bench/doors/time-code.ts';
import { anyFailed } from '../../bench/verdicts.ts';

const bright = (number: number): number[] => cellsOf(number).map((white) => (white ? 235 : 16));

describe('a picture’s number', () => {
  test('is read as it was written, each of them', () => {
    for (let number = 0; number < NUMBERS; number += 1) expect(numberIn(bright(number))).toBe(number);
  });

  test('is not read from a picture without one: black, white, grey, or with a cell between black and white', () => {
    for (const level of [0, 16, 128, 235, 255]) expect(numberIn(Array(CELLS).fill(level))).toBeUndefined();
    expect(numberIn(bright(77).with(3, 128))).toBeUndefined();
    expect(numberIn(bright(77).slice(1))).toBeUndefined();
  });

  test('is never taken for another one when a single cell is wrong', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: NUMBERS - 1 }), fc.nat(CELLS - 1), (number, cell) => {
        const wrong = bright(number);
        wrong[cell] = 251 - wrong[cell]!;
        expect(numberIn(wrong)).toBeUndefined();
      }),
      { endOnFailure: true },
    );
  });

  test('leaves the picture above its strip as it was', () => {
    const size = { width: 64, height: 48 };
    const picture = new Uint8Array((64 * 48 * 3) / 2).fill(90);
    stamp(picture, size, 1_234);
    const above = 64 * (48 - stripHeight(size));
    expect(new Set(picture.subarray(0, above))).toEqual(new Set([90]));
    expect(new Set(picture.subarray(above, 64 * 48))).toEqual(new Set([16, 235]));
  });

  test('is read from strips however their bytes are cut', () => {
    const strip = (number: number) =>
      Uint8Array.from(
        { length: READ.width * READ.height },
        (_, n) => bright(number)[Math.floor((n % READ.width) / 10)]!,
      );
    expect(numberIn(cellsIn(strip(4_000)))).toBe(4_000);
    const all = Buffer.concat([1, 2, 3].map(strip));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: all.length }), (size) => {
        const reader = new StripReader();
        const numbers: (number | undefined)[] = [];
        for (let at = 0; at < all.length; at += size) numbers.push(...reader.push(all.subarray(at, at + size)));
        expect(numbers).toEqual([1, 2, 3]);
      }),
      { endOnFailure: true },
    );
  });
});

describe('how long pictures took', () => {
  const sent = Array.from({ length: 100 }, (_, number) => ({ number, at: number * 40 }));
  const after = (ms: number) => sent.map(({ number, at }) => ({ number, at: at + ms }));

  test('is what the door held them back, and what is not the door’s is taken off', () => {
    expect(figureOf(journey(sent, after(200)))).toEqual({
      ...{ median: 200, p95: 200, least: 200, most: 200 },
      ...{ pictures: 100, lost: 0 },
    });
    expect(figureOf(journey(sent, after(2_200)), 2_000)?.median).toBe(200);
  });

  test('tells pictures that never came from those that were on their way or before anybody looked', () => {
    const came = after(200).filter(({ number }) => number >= 10 && number < 90 && ![40, 41, 60].includes(number));
    expect(journey(sent, came)).toMatchObject({ lost: 3, took: { length: 77 } });
  });

  test('counts a picture once, when it was seen first', () => {
    const twice = [...after(200), ...after(900)];
    expect(figureOf(journey(sent, twice))).toMatchObject({ most: 200, pictures: 100 });
  });

  test('leaves out what came before a client had settled, also where it comes again', () => {
    const hasty = sent.map(({ number, at }) => ({ number, at: at + (number < 50 ? 5_000 : 200) }));
    const first = after(100).slice(0, 20);
    const way = journey(sent, [...first, ...hasty], 2_000);
    expect(way.took.every(({ at }) => at >= 20 * 40)).toBe(true);
    expect(way.lost).toBe(0);
  });

  test('is nothing where nothing came', () => {
    expect(figureOf(journey(sent, []))).toBeUndefined();
  });
});

test('another clock is compared by its quickest answer', () => {
  const asked = [
    { sent: 0, said: 1_060, back: 100 },
    { sent: 200, said: 1_203, back: 206 },
    { sent: 300, said: 1_310, back: 350 },
  ];
  expect(clockOffset(asked)).toEqual({ ahead: 1_000, within: 3 });
});

test('a picture is on the disk once the file is as long as its last byte', () => {
  const sizes = [
    { size: 100, at: 1 },
    { size: 500, at: 2 },
    { size: 900, at: 3 },
  ];
  expect([100, 101, 500, 900, 901].map((bytes) => heldAt(sizes, bytes))).toEqual([1, 2, 2, 3, undefined]);
});

test('what leaves at one time is given away together, and a picture ends what is given', () => {
  const unit = (at: number, byte: number, number?: number) => ({
    ...{ at, bytes: Uint8Array.of(byte) },
    ...(number !== undefined && { number }),
  });
  expect(
    joined([unit(0, 1), unit(0, 2, 0), unit(0, 3), unit(40, 4), unit(40, 5, 1)]).map(({ at, bytes, number }) => [
      at,
      [...bytes],
      number,
    ]),
  ).toEqual([
    [0, [1, 2], 0],
    [0, [3], undefined],
    [40, [4, 5], 1],
  ]);
});

test('doors are asked for by name, on one side or both, and no others', () => {
  expect([...askedFor(['srt'])]).toEqual(['in/srt', 'out/srt']);
  expect([...askedFor(['in/rtp,out/dash'])]).toEqual(['in/rtp', 'out/dash']);
  expect(askedFor([]).size).toBeGreaterThan(15);
  expect(() => askedFor(['gopher'])).toThrow(UnknownDoor);
});

describe('a result', () => {
  const door = (side: 'in' | 'out', name: string) => ({
    side,
    name,
    protocol: `${name} | x`,
    codecs: 'H.264',
    client: 'FFmpeg',
    drawn: false,
  });
  const way = (ms: number, lost = 0) => ({ took: [0, 40, 80].map((at) => ({ at, ms })), lost });
  const peer = figureOf(way(50));
  const rows: Measured[] = [
    measured(door('in', 'rtp'), way(2_100), 2_000, 3, peer),
    measured(door('in', 'srt'), way(2_350), 2_000, 3, peer),
    unmeasured(door('in', 'whip'), 'not in this build', 'POST …/whip answers 404'),
    measured(door('out', 'dash'), way(1_500), 0, 3, undefined),
    unmeasured(door('out', 'll-hls'), 'lacking', 'no Chromium'),
  ];
  const result = (all: readonly Measured[]) => ({
    ...{ machine: 'a machine', when: '2026-01-02T03:04:05Z', programme: 'face.mp4', seconds: 8, delay: 2 },
    ...{ noting: { p50: 0, p99: 4 }, rows: all, verdicts: doorsVerdicts(all) },
  });

  test('says what a door adds by itself, beyond plain RTP and against its peer, and which is the longest', () => {
    expect(beyondRtp(rows, rows[1]!)).toBe(250);
    expect(worst(rows, 'in')?.name).toBe('srt');
    expect(doorsText(result(rows))).toMatch(/in srt .* 350 +350 +350 +0 of 3 +250 +50 +7\.0/);
    expect(doorsPage(result(rows))).toContain('not in this build: POST …/whip answers 404');
  });

  test('is a table for the documentation, whose cells are no more than there are columns', () => {
    const lines = doorsMarkdown(result(rows)).split('\n').slice(2);
    expect(lines).toHaveLength(2 + rows.length);
    for (const line of lines) expect(line.replaceAll('\\|', '').match(/\|/g)).toHaveLength(7);
    expect(lines.at(-1)).toContain('lacking: no Chromium');
  });

  test('passes where doors are lacking, and fails where one does not work or a picture is lost', () => {
    expect(anyFailed(doorsVerdicts(rows))).toBe(false);
    expect(anyFailed(doorsVerdicts([...rows, unmeasured(door('out', 'srt'), 'failed', 'it broke')]))).toBe(true);
    expect(anyFailed(doorsVerdicts([...rows, measured(door('out', 'srt'), way(90, 1), 0, 4, undefined)]))).toBe(true);
    const page = { ...door('out', 'webrtc'), drawn: true };
    expect(anyFailed(doorsVerdicts([...rows, measured(page, way(90, 1), 0, 4, undefined)]))).toBe(false);
  });

  test('nothing that came through is a failure, and so is less than half', () => {
    expect(measured(door('out', 'srt'), { took: [], lost: 0 }, 0, 3, undefined).state).toBe('failed');
    expect(measured(door('out', 'srt'), way(90), 0, 6, undefined).state).toBe('works');
    expect(measured(door('out', 'srt'), way(90), 0, 7, undefined)).toMatchObject({
      ...{ state: 'failed', why: '3 of 7 pictures came through' },
    });
  });
});

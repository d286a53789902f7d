import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, later, ms } from '../../media/time.ts';
import { patched } from '../../media/video-frame.ts';
import { MouthBank } from '../../models/lips/mouth-bank.ts';
import { outlineOf } from '../../models/lips/mouth-outline.ts';
import { WarpDriver } from '../../models/lips/warp.ts';
import type { Language, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Shot, Take } from '../../pipeline/face.ts';
import { type Drawn, drawnFace, drawnPicture } from '../fakes/drawn-faces.ts';

/** A take of one sound, from 0 on, that lasts a second; nothing is heard after it. */
const saying = (text: string): Take => ({
  utterance: `u-${text}` as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: 'es' as Language,
  start: at(0),
  end: at(10_000_000),
  clip: { start: at(0), end: at(1_000_000) },
  pcm: Float32Array.from({ length: 16_000 }, (_, n) => 0.3 * Math.sin(n * 0.06)),
  phonemes: [{ text, start: at(0), end: at(1_000_000) }],
});
const FRONT: Drawn = { x: 160, y: 150, eyes: 70, gap: 1 };
const shotOf = (drawn: Drawn, more: Partial<Shot> = {}): Shot => {
  const start = drawn.start ?? at(480_000);
  return { start, end: later(start, ms(40)), frame: drawnPicture(drawn), face: drawnFace(drawn), weight: 1, ...more };
};
/** A driver that has seen the speaker's mouth closed for a while. */
function acquainted(drawn: Drawn = FRONT): WarpDriver {
  const driver = new WarpDriver();
  for (let n = 0; n < 20; n += 1) driver.drive(shotOf({ ...drawn, gap: 1 }));
  return driver;
}
/** How dark the middle of the mouth is: the darkest of some rows about it. */
function darkest(shot: Shot, driver: WarpDriver, { x, y }: Drawn = FRONT): number {
  const picture = patched(shot.frame, driver.drive(shot).patches);
  const rows = Array.from({ length: 17 }, (_, n) => picture.y[(y - 3 + n) * picture.width + x]!);
  return Math.min(...rows);
}

describe('a driven mouth', () => {
  test('opens for [a] though the speaker’s is closed, and shows the dark between the lips', () => {
    expect(darkest(shotOf(FRONT, { take: saying('a') }), acquainted())).toBeLessThan(80);
  });

  test('closes in the dub’s silence though the speaker’s is open', () => {
    const open = { ...FRONT, gap: 16, start: at(5_000_000) };
    expect(darkest(shotOf(open), acquainted())).toBeLessThan(40);
    // What is left is the line between closed lips.
    expect(darkest(shotOf(open, { take: saying('a') }), acquainted())).toBeGreaterThan(60);
  });

  test('is not touched where lips are closed and stay so', () => {
    const shot = shotOf({ ...FRONT, start: at(5_000_000) }, { take: saying('a') });
    const [patch] = acquainted().drive(shot).patches;
    const changed = patch!.y.filter((level, n) => {
      const [row, column] = [Math.floor(n / patch!.width) + patch!.top, (n % patch!.width) + patch!.left];
      return Math.abs(level - shot.frame.y[row * 320 + column]!) > 2;
    });
    expect(changed.length / patch!.y.length).toBeLessThan(0.05);
  });

  test('is narrower for [u] than for [i]', () => {
    const width = (ipa: string) => {
      const shot = shotOf(FRONT, { take: saying(ipa) });
      const picture = patched(shot.frame, acquainted().drive(shot).patches);
      // Lips are darker than skin: so many columns have some.
      const columns = Array.from({ length: 100 }, (_, n) => 110 + n).filter((x) => {
        const rows = Array.from({ length: 31 }, (_, k) => picture.y[(138 + k) * 320 + x]!);
        return Math.min(...rows) < 125;
      });
      return columns.length;
    };
    expect(width('u')).toBeLessThan(width('i') - 6);
  });

  test('fades: at half the weight it is between the two, and without weight the picture is the original', () => {
    const shots = [0, 0.5, 1].map((weight) => shotOf({ ...FRONT, gap: 16, start: at(5_000_000) }, { take: saying('a'), weight })); // prettier-ignore
    const changes = shots.map((shot) => {
      const after = patched(shot.frame, acquainted().drive(shot).patches);
      return after.y.reduce((sum, level, n) => sum + Math.abs(level - shot.frame.y[n]!), 0);
    });
    expect(changes[0]).toBe(0);
    expect(changes[1]).toBeGreaterThan(0.2 * changes[2]!);
    expect(changes[1]).toBeLessThan(0.9 * changes[2]!);
  });

  test('is left alone where the face is not fit, nobody speaks for it, or it has no mouth', () => {
    const driver = acquainted();
    const unfit = shotOf(FRONT, { take: saying('a') });
    expect(driver.drive({ ...unfit, face: { ...unfit.face, unfit: 'occluded' } })).toEqual({ start: unfit.start, face: 'f1', patches: [], unfit: 'occluded' }); // prettier-ignore
    expect(driver.drive(shotOf(FRONT)).patches).toEqual([]);
    const flat = { ...unfit.face, landmarks: new Float32Array(136).fill(100) };
    expect(driver.drive({ ...unfit, face: flat }).patches).toEqual([]);
  });

  test('changes nothing above the nose, outside the face’s box, or on the patch’s own border, wherever the face is', () => {
    const face = fc.record({ x: fc.integer({ min: -20, max: 340 }), y: fc.integer({ min: -20, max: 260 }), eyes: fc.integer({ min: 18, max: 110 }), gap: fc.integer({ min: 0, max: 30 }), roll: fc.double({ min: -0.5, max: 0.5, noNaN: true }) }); // prettier-ignore
    fc.assert(
      fc.property(face, fc.constantFrom('a', 'u', 'i', 'p', 's'), (drawn, ipa) => {
        const shot = shotOf({ ...drawn, gap: Math.min(drawn.gap, drawn.eyes * 0.4) }, { take: saying(ipa) });
        const { box, landmarks } = shot.face;
        const { frame } = shot;
        for (const patch of new WarpDriver().drive(shot).patches) {
          for (const size of [patch.left, patch.top, patch.width, patch.height]) expect(size % 2).toBe(0);
          expect(patch.left >= 0 && patch.top >= 0).toBe(true);
          expect(patch.left + patch.width <= frame.width && patch.top + patch.height <= frame.height).toBe(true);
          expect(patch.y.length).toBe(patch.width * patch.height);
          expect(patch.u.length).toBe(patch.y.length / 4);
          const after = patched(frame, [patch]);
          const [cos, sin] = [Math.cos(drawn.roll), Math.sin(drawn.roll)];
          const nose = (landmarks[67]! - drawn.y) * cos - (landmarks[66]! - drawn.x) * sin;
          for (let y = patch.top; y < patch.top + patch.height; y += 1) {
            for (let x = patch.left; x < patch.left + patch.width; x += 1) {
              if (after.y[y * 320 + x] === frame.y[y * 320 + x]) continue;
              expect(x >= box.left - 1 && x <= box.left + box.width + 1).toBe(true);
              expect(y >= box.top - 1 && y <= box.top + box.height + 1).toBe(true);
              expect(x > patch.left && x < patch.left + patch.width - 1).toBe(true);
              expect(y > patch.top && y < patch.top + patch.height - 1).toBe(true);
              expect((y - drawn.y) * cos - (x - drawn.x) * sin).toBeGreaterThan(nose - 1);
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

test('a bank keeps so many mouths at most, and gives out the one that fits best', () => {
  const bank = new MouthBank();
  for (let n = 0; n < 400; n += 1) {
    const drawn = { ...FRONT, gap: n % 40, eyes: 60 + (n % 13) };
    bank.look(drawnPicture({ ...drawn, width: 320 }), outlineOf(drawnFace(drawn).landmarks)!, 0.76, n % 30);
  }
  expect(bank.size).toBeGreaterThan(4);
  expect(bank.size).toBeLessThanOrEqual(MouthBank.most);
  const skin = { y: 144, u: 120, v: 145 };
  for (const opening of [0.1, 0.2, 0.3]) {
    const picked = bank.pick(opening, 1, 0.3, skin, undefined);
    expect(picked.painted).toBe(false);
    expect(Math.abs(picked.opening - opening)).toBeLessThan(0.08);
  }
});

test('a mouth that was never seen open is painted: dark, with teeth above', () => {
  const skin = { y: 144, u: 120, v: 145 };
  const { painted, y, columns, rows } = new MouthBank().pick(0.2, 1, 0.5, skin, undefined);
  expect(painted).toBe(true);
  const row = (share: number) => y[Math.floor(rows * share) * columns + (columns >> 1)]!;
  expect(row(0.25)).toBeGreaterThan(row(0.6) + 40);
  expect(row(0.6)).toBeLessThan(60);
});

test('a speaker is known again by embedding under another face id', () => {
  const embedding = new Float32Array(4).fill(0.5);
  const driver = new WarpDriver();
  for (let n = 0; n < 30; n += 1) {
    const shot = shotOf({ ...FRONT, gap: 14 + (n % 4) });
    driver.drive({ ...shot, face: { ...shot.face, embedding } });
  }
  const shot = shotOf({ ...FRONT, id: 'f2' }, { take: saying('a') });
  const drive = (other: Float32Array) => driver.drive({ ...shot, face: { ...shot.face, embedding: other } });
  const stranger = drive(Float32Array.of(0.5, -0.5, 0.5, -0.5)).patches[0]!;
  const again = shotOf({ ...FRONT, id: 'f3' }, { take: saying('a') });
  const known = driver.drive({ ...again, face: { ...again.face, embedding } }).patches[0]!;
  expect(known.y).not.toEqual(stranger.y);
});

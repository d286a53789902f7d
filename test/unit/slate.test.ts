import { describe, expect, test } from 'vitest';
import { Slate } from '../../gateway/session/slate.ts';
import { MissingLibrary } from '../../media/native.ts';
import { pictureIdOf, Packetizer } from '../../media/packetize.ts';
import { slatePicture } from '../../media/slate-picture.ts';
import { at } from '../../media/time.ts';
import { UNSPECIFIED, blank } from '../../media/video-frame.ts';

const SECOND = 1_000_000;
const data = (keyFrame: boolean) => Uint8Array.of(keyFrame ? 0 : 1, 2, 3);
const make = () =>
  Array.from({ length: 5 }, (_, n) => ({ start: at(n * 200_000), keyFrame: n === 0, data: data(n === 0) }));

describe('a slate', () => {
  const source = new Packetizer('VP8', { pictureId: 0x7ffe });
  const unit = (seconds: number, keyFrame: boolean) => ({
    ...{ start: at(seconds * SECOND), keyFrame, payloads: source.packetize(data(keyFrame)) },
  });

  test('is shown from when pictures are missed until a key frame, on increasing times and ids', () => {
    const slate = new Slate({ codec: 'VP8', onFault: () => {}, make });
    const before = [unit(0, true), unit(0.04, false)];
    expect(before.map((one) => slate.picture(one))).toEqual(before);
    expect(slate.tick(at(1.2 * SECOND))).toEqual([]);
    const shown = slate.tick(at(4 * SECOND));
    expect(shown.map(({ start }) => start).slice(0, 2)).toEqual([at(0.24 * SECOND), at(0.44 * SECOND)]);
    expect(shown.filter((_, n) => n % 5 === 0).every(({ keyFrame }) => keyFrame)).toBe(true);
    expect(slate.picture(unit(3.1, false))).toBeUndefined();
    // It lies before the last of the slate: it is shown right after it.
    const back = [slate.picture(unit(2.7, true))!, slate.picture(unit(3.2, false))!];
    expect(back[0]!.start).toBe(shown.at(-1)!.start + 1_000);
    const all = [...before, ...shown, ...back];
    expect(all.slice(1).every(({ start }, n) => start > all[n]!.start)).toBe(true);
    const ids = all.map(({ payloads }) => pictureIdOf('VP8', payloads[0]!)!.value);
    const last = ids.pop()!;
    expect(ids.slice(1).map((id, n) => (id - ids[n]!) & 0x7fff)).toEqual(ids.slice(1).map(() => 1));
    expect((last - ids.at(-1)!) & 0x7fff).toBe(1);
    expect(slate.showing).toBe(false);
  });

  test('is none where there is no codec library, which is told once', () => {
    const faults: string[] = [];
    const slate = new Slate({
      codec: 'VP8',
      onFault: (message) => faults.push(message),
      make: () => {
        throw new MissingLibrary('libavcodec is not there: apt-get install it');
      },
    });
    slate.picture(unit(0, true));
    expect([...slate.tick(at(3 * SECOND)), ...slate.tick(at(4 * SECOND))]).toEqual([]);
    expect(faults).toHaveLength(1);
  });

  test('waits longer where pictures are sparse', () => {
    const slate = new Slate({ codec: 'VP8', onFault: () => {}, make });
    for (const seconds of [0, 1, 2]) slate.picture(unit(seconds, true));
    expect(slate.tick(at(4 * SECOND))).toEqual([]);
    expect(slate.tick(at(4.3 * SECOND))).toHaveLength(1);
  });

  test('is the picture dimmed with a sign in its middle', () => {
    const white = { ...blank(64, 48), start: at(0), colour: UNSPECIFIED };
    white.y.fill(235);
    const { y } = slatePicture(white);
    expect(y[0]).toBe(Math.floor(16 + 219 * 0.35));
    expect(y.filter((luma) => luma === 200).length).toBeGreaterThan(20);
    expect(white.y[0]).toBe(235);
  });
});

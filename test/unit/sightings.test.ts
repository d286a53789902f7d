import { expect, test } from 'vitest';
import { ms, seconds } from '../../media/time.ts';
import type { FaceId } from '../../pipeline/face.ts';
import { type DrivenFace, aim } from '../../pipeline/shots.ts';
import { Sightings } from '../../pipeline/sightings.ts';
import { picture, seenAt } from '../fakes/seen-faces.ts';

const bound = (from: number, to: number, face = 'a'): DrivenFace => ({
  start: picture(from),
  end: picture(to),
  face: face as FaceId,
});

test('what was seen is found again by its time, and what is older than asked for is forgotten', () => {
  const sightings = new Sightings({ keep: seconds(1) });
  for (let n = 0; n < 50; n += 1) sightings.push(seenAt(n));
  expect(sightings.at(picture(40))?.start).toBe(picture(40));
  expect(sightings.at((picture(40) + 1) as never)).toBeUndefined();
  expect(sightings.at(picture(10))).toBeUndefined();
  expect(sightings.around((picture(40) + 1) as never)?.start).toBe(picture(40));
  expect(sightings.around((picture(49) + ms(300)) as never)).toBeUndefined();
  expect(sightings.during({ start: picture(30), end: picture(33) }).map(({ start }) => start)).toEqual(
    [30, 31, 32].map(picture),
  );
});

const weights = (
  faces: (n: number) => string[],
  take = { start: picture(0), end: picture(20) },
  who = [bound(0, 20)],
) => {
  const sightings = new Sightings();
  for (let n = -3; n < 23; n += 1) sightings.push(seenAt(n, faces(n)));
  return Array.from({ length: 20 }, (_, n) => {
    const aimed = aim(sightings.at(picture(n))!, take, who, sightings);
    return aimed.face ? aimed.weight : aimed.why;
  });
};

test('a driven mouth fades in and out over three pictures at the ends of its take', () => {
  const all = weights(() => ['a']);
  expect(all.slice(0, 4)).toEqual([0.25, 0.5, 0.75, 1]);
  expect(all.slice(-4)).toEqual([1, 0.75, 0.5, 0.25]);
  expect(all.slice(3, -3).every((weight) => weight === 1)).toBe(true);
});

test('it fades around pictures in which the face cannot be driven, and they say why', () => {
  const all = weights((n) => (n === 9 || n === 10 ? ['a:profile'] : ['a']));
  expect(all.slice(5, 15)).toEqual([1, 0.75, 0.5, 0.25, 'profile', 'profile', 0.25, 0.5, 0.75, 1]);
  expect(weights((n) => (n === 9 ? ['b'] : ['a', 'b']))[9]).toBe('lost');
});

test('only the bound face is driven, and the hand-over to another fades', () => {
  const all = weights(() => ['a', 'b'], undefined, [bound(0, 10, 'a'), bound(10, 15, 'b')]);
  expect(all.slice(6, 13)).toEqual([1, 0.75, 0.5, 0.25, 0.25, 0.5, 0.75]);
  expect(all.slice(15)).toEqual(Array(5).fill('nobody'));
});

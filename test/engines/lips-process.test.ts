import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { SessionSpec } from '../../gateway/config.ts';
import { Lips } from '../../gateway/session/lips.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { seconds } from '../../media/time.ts';
import { packetizeVp8 } from '../../media/vp8.ts';
import type { DrivenPicture } from '../../pipeline/lip-path.ts';
import { picture, takeOver } from '../fakes/seen-faces.ts';

const program = fileURLToPath(new URL('../fakes/lips-process.mjs', import.meta.url));
let scope = new Scope('test');
afterEach(async () => {
  await scope.close();
  scope = new Scope('test');
});

function open(name: string) {
  const driven: DrivenPicture[] = [];
  const faults: { stage: string; kind: string; message: string }[] = [];
  const able: boolean[] = [];
  const lips: Lips = new Lips(
    {
      spec: SessionSpec.parse({ name }),
      clock: new MonotonicClock(),
      keep: seconds(10),
      onDriven: (_, each) => driven.push(each),
      onReport: () => {},
      onFault: ({ stage, kind, message }) => faults.push({ stage, kind, message }),
      onChange: () => able.push(lips.able),
      program,
    },
    scope,
  );
  return { lips, driven, faults, able };
}
const eventually = (what: () => void) => vi.waitFor(what, { timeout: 10_000, interval: 20 });

test('takes go to the picture process, and patches come back as they were made', async () => {
  const { lips, driven, able } = open('does its work');
  await eventually(() => expect(lips.able).toBe(true));
  lips.drive(takeOver(10, 15));
  await eventually(() => expect(driven.length).toBe(5));
  expect(driven.map(({ start }) => start)).toEqual([10, 11, 12, 13, 14].map(picture));
  expect(driven[0]!.patches[0]!.y).toEqual(new Uint8Array(4).fill(9));
  expect(able).toEqual([true]);
});

test('pictures travel compressed, from a key frame on', async () => {
  const { lips, faults } = open('does its work');
  lips.codec('VP8');
  await eventually(() => expect(lips.able).toBe(true));
  const unit = (n: number, keyFrame: boolean, size: number) => ({
    start: picture(n),
    keyFrame,
    payloads: packetizeVp8(new Uint8Array(size), { value: n, bits: 15 }),
  });
  lips.picture(unit(0, false, 100));
  lips.picture(unit(1, true, 5_000));
  lips.picture(unit(2, false, 300));
  await eventually(() => expect(faults).toHaveLength(2));
  expect(faults.map(({ kind }) => kind)).toEqual(['5000', '300']);
});

test('a picture process that dies is replaced, and says so', async () => {
  const { lips, faults, able } = open('dies at a take');
  await eventually(() => expect(lips.able).toBe(true));
  const before = lips.pid;
  lips.drive(takeOver(0, 5));
  await eventually(() => expect(able).toEqual([true, false, true]));
  expect(lips.pid).not.toBe(before);
  expect(lips.figures.restarts).toBe(1);
  expect(faults).toMatchObject([{ stage: 'lipDriver', kind: 'unavailable' }]);
  expect(faults[0]!.message).toMatch(/died \(SIGKILL\); it is started again/);
});

test('one that cannot load is tried again, less and less often, and is never able', async () => {
  const { lips, faults } = open('dies at once');
  await eventually(() => expect(faults.length).toBeGreaterThanOrEqual(3));
  expect(lips.able).toBe(false);
  expect(faults.map(({ message }) => /in ([\d.]+) s/.exec(message)?.[1]).slice(0, 3)).toEqual(['0', '0.5', '1']);
});

test('one that says nothing any more is killed and replaced', async () => {
  const { lips, faults } = open('says nothing');
  await eventually(() => expect(lips.able).toBe(true));
  await eventually(() => expect(faults.some(({ message }) => message.includes('SIGKILL'))).toBe(true));
}, 20_000);

test('nothing of it is left when the session ends', async () => {
  const { lips } = open('does its work');
  await eventually(() => expect(lips.able).toBe(true));
  const pid = lips.pid!;
  await scope.close();
  await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
});

import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SessionSpec } from '../../gateway/config.ts';
import { Lips } from '../../gateway/session/lips.ts';
import { type DrivenPictures, Mouths } from '../../gateway/session/mouths.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type Interval, type MediaTime, ms, seconds } from '../../media/time.ts';
import { packetizeVp8 } from '../../media/vp8.ts';
import type { Clip, Line, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import type { DrivenPicture, Saying } from '../../pipeline/lip-path.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { DUB, ears, en, es, hear, spanish } from '../fakes/house.ts';
import { picture, takeOver } from '../fakes/seen-faces.ts';
import { synthesizerAt, translatorTo } from '../fakes/stages.ts';

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

const saying = (id: string, from: number, to: number): Saying => ({
  id: id as UtteranceId,
  speaker: 's1' as SpeakerId,
  start: picture(from),
  end: picture(to),
});

test('what faces show is told once a voice takes it, and the last 64 utterances of it are kept', async () => {
  const { lips } = open('does its work');
  await eventually(() => expect(lips.able).toBe(true));
  lips.said(saying('before', 0, 10));
  lips.guide();
  for (let n = 0; n < 70; n += 1) lips.said(saying(`u${n}`, n, n + 1));
  await eventually(() => expect(lips.guideOf('u69' as UtteranceId)).toEqual({ mouth: [], expression: 0.7 }));
  expect(lips.guideOf('before' as UtteranceId)).toBeUndefined();
  const kept = Array.from({ length: 70 }, (_, n) => lips.guideOf(`u${n}` as UtteranceId) !== undefined);
  expect(kept).toEqual(Array.from({ length: 70 }, (_, n) => n >= 6));
});

test('a picture process that took the place of a dead one tells guides too', async () => {
  const { lips, able } = open('dies at a take');
  await eventually(() => expect(lips.able).toBe(true));
  lips.guide();
  lips.drive(takeOver(0, 5));
  await eventually(() => expect(able).toEqual([true, false, true]));
  lips.said(saying('u1', 0, 10));
  await eventually(() => expect(lips.guideOf('u1' as UtteranceId)).toBeDefined());
});

describe('the mouths of a session', () => {
  /** The programme's utterances, in order. */
  let ids: UtteranceId[];
  let made: Clip;
  beforeAll(async () => {
    const house = await hear(ears(), { es: spanish() });
    ids = house.clips.map(({ utterance: id }) => id);
    expect(ids).toHaveLength(3);
    made = house.clips[0]!;
  });
  /** A line of pictures that keeps what is asked of it. */
  const line = () => {
    const patches: MediaTime[] = [];
    const spans: Interval[] = [];
    const pictures: DrivenPictures = {
      lead: ms(300),
      shown: 0,
      size: 0,
      counts: {},
      push: () => {},
      take: () => [],
      grow: () => {},
      covers: () => spans.length > 0,
      drive: (span) => spans.push(span),
      patches: ({ start }) => patches.push(start),
      close: () => {},
    };
    return { patches, pictures };
  };
  const utterance = (id: string): Utterance => ({
    ...saying(id, 10, 15),
    language: en,
    text: 'Hello.',
    words: [],
  });
  const clip = (id: string): Clip => ({
    ...made,
    utterance: id as UtteranceId,
    language: es,
    start: picture(10),
    end: picture(15),
    pcm: new Float32Array(9_600),
  });
  function mouthsOf(name: string) {
    const able: boolean[] = [];
    const { patches, pictures } = line();
    const mouths: Mouths = new Mouths(
      {
        spec: SessionSpec.parse({ name }),
        clock: new MonotonicClock(),
        keep: seconds(10),
        onFault: () => {},
        onChange: () => able.push(mouths.able),
        line: () => pictures,
        program,
      },
      scope,
    );
    mouths.codec('VP8');
    mouths.open(es, 'VP8', seconds(3));
    return { mouths, able, patches };
  }

  test('cannot be driven while the driver is refused, and can again when a later line is not', async () => {
    const { mouths, able, patches } = mouthsOf('is refused twice');
    await eventually(() => expect(able).toEqual([true]));
    mouths.said(utterance('u1'));
    mouths.placed(clip('u1'));
    await eventually(() => expect(able).toEqual([true, false]));
    expect(mouths.able).toBe(false);
    expect(patches).toEqual([]);
    mouths.said(utterance('u2'));
    mouths.placed(clip('u2'));
    mouths.said(utterance('u3'));
    mouths.placed(clip('u3'));
    await eventually(() => expect(able).toEqual([true, false, true]));
    expect(patches).toEqual([10, 11, 12, 13, 14].map(picture));
  });

  test('tell a voice that takes guides what the face showed, and other voices nothing', async () => {
    for (const takes of [true, false]) {
      const { mouths, able } = mouthsOf('does its work');
      await eventually(() => expect(able).toEqual([true]));
      if (takes) mouths.guide();
      const lines: Line[] = [];
      const voice = synthesizerAt(DUB);
      const synthesizer: Stage<'synthesizer'> = {
        ...voice,
        caps: { ...voice.caps, ...(takes && { guides: true }) },
        async *run(input, stageScope) {
          const heard = async function* () {
            for await (const each of input) {
              lines.push(each);
              yield each;
            }
          };
          yield* voice.run(heard(), stageScope);
        },
      };
      // The pictures have been looked at when the line is spoken, except for those of the second one.
      for (const id of ids.filter((_, n) => n !== 1)) mouths.said({ ...utterance(id), id });
      if (takes) await eventually(() => expect(mouths.guideOf(ids[2]!)).toBeDefined());
      await hear(
        ears(),
        { es: { translator: translatorTo(es), synthesizer } },
        { guideOf: (id) => mouths.guideOf(id) },
      );
      const guide = takes ? { expression: 0.7 } : undefined;
      expect(lines.map((each) => each.guide)).toEqual([guide, undefined, guide]);
    }
  });
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

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { type ClockTime, type Interval, type MediaTime, ms } from '../../media/time.ts';
import type { Guide, Language, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { FaceId, Shot, Speaking } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import {
  type Binder,
  type DrivenPicture,
  LipPath,
  type LipPathOptions,
  type LipStages,
  type TakeReport,
} from '../../pipeline/lip-path.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { feed } from '../fakes/recordings.ts';
import { faceCalled, frameAt, picture, takeOver } from '../fakes/seen-faces.ts';
import { lipStagesOf, paintingDriver, scriptedSpeaker, scriptedTracker } from '../fakes/lip-stages.ts';

const saying = (from: number, to: number, id = 'u0') => ({
  id: id as UtteranceId,
  speaker: 's1' as SpeakerId,
  start: picture(from),
  end: picture(to),
});

/** Eyes that are 20 pixels apart, and nothing else of a face. */
const EYES = Float32Array.from({ length: 136 }, (_, n) => (n % 2 === 0 && n >= 84 && n < 96 ? 20 : 0));

/** Binds whoever was last found to speak, else `always`. */
class Believer implements Binder {
  readonly heard: string[] = [];
  #speaking: Speaking | undefined;
  readonly #always: string | undefined;
  constructor(always?: string) {
    this.#always = always;
  }
  see(): void {}
  score(speaking: Speaking): void {
    this.#speaking = speaking;
  }
  hear({ id }: { id: string }): void {
    this.heard.push(id);
  }
  bind({ start, end }: Interval): ReturnType<Binder['bind']> {
    const found = this.#speaking?.faces.find(({ scores }) => scores.every((score) => score > 0));
    const face = found?.id ?? this.#always;
    return [{ start, end, why: found ? 'seen' : 'told', ...(face !== undefined && { face: face as FaceId }) }];
  }
}

function path(stages: LipStages, extra: Partial<LipPathOptions> = {}) {
  const clock = new ManualClock();
  const driven: (DrivenPicture & { language: Language })[] = [];
  const reports: TakeReport[] = [];
  const faults: Fault[] = [];
  const lips = new LipPath({
    stages,
    clock,
    pace: 'recorded',
    binder: new Believer('a'),
    footage: async function* ({ start, end }) {
      for (let n = Math.ceil(start / ms(40)); picture(n) < end; n += 1) yield await Promise.resolve(frameAt(n));
    },
    onDriven: (language, each) => void (each.patches.length > 0 && driven.push({ ...each, language })),
    onTake: (report) => reports.push(report),
    onFault: (fault) => faults.push(fault),
    ...extra,
  });
  const look = async (from: number, to: number) => {
    for (let n = from; n < to; n += 1) await lips.see(frameAt(n));
  };
  return { lips, clock, driven, reports, faults, look };
}

describe('a recorded programme', () => {
  test('every picture of a take is driven, in order, faded at its ends', async () => {
    const shots: Shot[] = [];
    const { lips, driven, reports, look } = path(lipStagesOf({ lipDriver: paintingDriver(shots) }));
    await look(0, 40);
    lips.end();
    lips.drive(takeOver(10, 20));
    await lips.settled();
    expect(driven.map(({ start }) => start)).toEqual(Array.from({ length: 10 }, (_, n) => picture(10 + n)));
    expect(shots.map(({ weight }) => weight).slice(0, 4)).toEqual([0.25, 0.5, 0.75, 1]);
    expect(reports).toMatchObject([{ utterance: 'u0', pictures: 10, driven: 10, left: [], bound: [{ face: 'a' }] }]);
    lips.close();
  });

  test('a driver that learns faces by watching knows them before it has anything to say', async () => {
    const shots: Shot[] = [];
    const { lips, look } = path(lipStagesOf({ lipDriver: paintingDriver(shots, () => {}, { watches: true }) }));
    lips.expect('es' as Language);
    await look(0, 13);
    lips.end();
    lips.drive(takeOver(10, 12));
    await lips.settled();
    const watched = shots.filter(({ take }) => !take).map(({ start }) => start);
    expect(watched).toEqual([0, 3, 6, 9, 12].map(picture));
    expect(shots.filter(({ take }) => take)).toHaveLength(2);
    lips.close();
  });

  test('what cannot be driven is left alone and reported, stretch by stretch', async () => {
    const script = (n: number) => (n >= 14 && n < 17 ? ['a:profile'] : n === 18 ? [] : ['a']);
    const stages = lipStagesOf({ faceTracker: scriptedTracker(script), lipDriver: paintingDriver([]) });
    const { lips, driven, reports, look } = path(stages);
    await look(0, 30);
    lips.end();
    lips.drive(takeOver(10, 20));
    await lips.settled();
    expect(driven.map(({ start }) => start / ms(40))).toEqual([10, 11, 12, 13, 17, 19]);
    expect(reports[0]?.left).toEqual([
      { start: picture(14), end: picture(17), why: 'profile' },
      { start: picture(18), end: picture(19), why: 'lost' },
    ]);
    lips.close();
  });

  test('who speaks is found out from pictures and sound, and nobody is driven for a voice from elsewhere', async () => {
    const shots: Shot[] = [];
    const stages = lipStagesOf({
      faceTracker: scriptedTracker(() => ['a', 'b']),
      // A scene begins a second before what was said.
      activeSpeaker: scriptedSpeaker((start) => (start < 0 ? ['b'] : [])),
      lipDriver: paintingDriver(shots),
    });
    const { lips, reports, look } = path(stages, { binder: new Believer() });
    lips.said(saying(0, 20));
    lips.drive(takeOver(0, 20));
    await look(0, 60);
    lips.said(saying(25, 50, 'u1'));
    lips.end();
    await lips.settled();
    lips.drive(takeOver(25, 50, 'u1'));
    await lips.settled();
    expect(new Set(shots.map(({ face }) => face.id))).toEqual(new Set(['b']));
    expect(reports.map(({ driven, left }) => [driven, left.map(({ why }) => why)])).toEqual([
      [20, []],
      [0, ['nobody']],
    ]);
    lips.close();
  });

  test('each language is driven for itself', async () => {
    const { lips, driven, look } = path(lipStagesOf({ lipDriver: paintingDriver([]) }));
    await look(0, 30);
    lips.end();
    lips.drive(takeOver(5, 15));
    lips.drive(takeOver(5, 15, 'u0', 'fr'));
    await lips.settled();
    const of = (language: string) => driven.filter((each) => each.language === language).map(({ start }) => start);
    expect(of('es')).toEqual(of('fr'));
    expect(of('es')).toHaveLength(10);
    lips.close();
  });

  test('a picture that the driver refuses stays as it was; the rest is driven', async () => {
    const refuse = (shot: Shot) => {
      if (shot.start === picture(12)) throw new Fault('lipDriver', 'rejected', 'not that one');
    };
    const { lips, driven, reports, faults, look } = path(lipStagesOf({ lipDriver: paintingDriver([], refuse) }));
    await look(0, 30);
    lips.end();
    lips.drive(takeOver(10, 15));
    await lips.settled();
    expect(driven.map(({ start }) => start / ms(40))).toEqual([10, 11, 13, 14]);
    expect(reports[0]?.left).toEqual([{ start: picture(12), end: picture(13), why: 'failed' }]);
    expect(faults.map(({ message }) => message)).toEqual(['not that one']);
    lips.close();
  });

  test('a driver that fails on several pictures at once leaves all of them as they were, and nothing waits for them', async () => {
    let runs = 0;
    const driver: Stage<'lipDriver'> = {
      ...paintingDriver([]),
      async *run(input, scope) {
        runs += 1;
        const mine = runs;
        const held: Shot[] = [];
        for await (const shot of input) {
          held.push(shot);
          if (held.length < 3) continue;
          if (mine === 1) throw new Fault('lipDriver', 'rejected', 'not these');
          yield* paintingDriver([]).run(feed(held.splice(0)), scope);
        }
        yield* paintingDriver([]).run(feed(held), scope);
      },
    };
    const { lips, driven, reports, look } = path(lipStagesOf({ lipDriver: driver }));
    await look(0, 30);
    lips.end();
    lips.drive(takeOver(10, 16));
    await lips.settled();
    expect(driven.map(({ start }) => start / ms(40))).toEqual([13, 14, 15]);
    expect(reports[0]).toMatchObject({ pictures: 6, driven: 3 });
    expect(reports[0]?.left).toEqual([{ start: picture(10), end: picture(13), why: 'failed' }]);
    lips.close();
  });

  test.for(['driver', 'restorer'] as const)('a %s that is given up holds nothing up', async (which) => {
    const broken = () => {
      throw new Fault(which === 'driver' ? 'lipDriver' : 'restorer', 'broken', 'no more');
    };
    const restorer: Stage<'restorer'> = {
      kind: 'restorer',
      engine: 'broken',
      caps: { lookahead: ms(0) },
      async *run(input) {
        for await (const { driven } of input) yield driven.start < picture(12) ? driven : broken();
      },
    };
    const driver = paintingDriver([], (shot) => void (which === 'driver' && shot.start >= picture(12) && broken()));
    const stages = lipStagesOf({ lipDriver: driver, ...(which === 'restorer' && { restorer }) });
    const { lips, driven, reports, look } = path(stages);
    await look(0, 60);
    lips.end();
    lips.drive(takeOver(10, 20));
    lips.drive(takeOver(30, 40, 'u1'));
    await lips.settled();
    const all = [...Array(10).keys()].flatMap((n) => [10 + n, 30 + n]).toSorted((a, b) => a - b);
    const wanted = which === 'driver' ? [10, 11] : all;
    expect(driven.map(({ start }) => start / ms(40)).toSorted((a, b) => a - b)).toEqual(wanted);
    expect(reports.map(({ pictures }) => pictures)).toEqual([10, 10]);
    if (which === 'driver') {
      expect(reports[0]?.left).toEqual([{ start: picture(12), end: picture(20), why: 'failed' }]);
      expect(reports[1]?.left).toEqual([{ start: picture(30), end: picture(40), why: 'failed' }]);
    }
    expect(lips.able).toBe(which === 'restorer');
    lips.close();
  });

  test('drivers that want to get to know faces see some of them, and drive none of those', async () => {
    const shots: Shot[] = [];
    const driver = paintingDriver(shots, undefined, { watches: true });
    const { lips, driven, look } = path(lipStagesOf({ lipDriver: driver }));
    lips.drive(takeOver(0, 1));
    await look(0, 100);
    lips.end();
    await lips.settled();
    const watched = shots.filter(({ take }) => !take);
    expect(watched.length).toBeGreaterThan(15);
    expect(watched.length).toBeLessThan(40);
    expect(driven).toHaveLength(1);
    lips.close();
  });
});

describe('what a face shows of how something was said', () => {
  /** Two faces: the mouth of `a` opens in pictures 20 to 29 and 50 to 59, that of `b` in 30 to 39. */
  const tracker: Stage<'faceTracker'> = {
    ...scriptedTracker(() => []),
    async *run(input) {
      for await (const { start } of input) {
        const n = Math.round(start / ms(40));
        const open = (first: number) => (n >= first && n < first + 10 ? 0.3 : 0.01);
        const a = { ...faceCalled('a'), landmarks: EYES, opening: Math.max(open(20), open(50)) };
        const b = { ...faceCalled('b'), landmarks: EYES, opening: open(30) };
        yield { start, cut: false, faces: [a, b] };
      }
    },
  };
  const told = async (binder: Binder) => {
    const guides: [string, Guide][] = [];
    const { lips, look } = path(lipStagesOf({ faceTracker: tracker, lipDriver: paintingDriver([]) }), {
      binder,
      onGuide: (utterance, guide) => guides.push([utterance, guide]),
    });
    lips.said(saying(10, 45));
    lips.said(saying(45, 70, 'u1'));
    await look(0, 100);
    lips.end();
    lips.drive(takeOver(45, 70, 'u1'));
    await lips.settled();
    lips.close();
    return guides;
  };
  const mouths = (guides: readonly [string, Guide][]) =>
    guides.map(([id, { mouth = [] }]) => [id, mouth.map(({ start, end }) => [start / ms(40), end / ms(40)])]);

  test('is told once for each utterance, of the face that it was bound to', async () => {
    expect(mouths(await told(new Believer('a')))).toEqual([
      ['u0', [[20, 30]]],
      ['u1', [[50, 60]]],
    ]);
    expect(mouths(await told(new Believer('b')))).toEqual([
      ['u0', [[30, 40]]],
      ['u1', []],
    ]);
  });

  test('is put together where the face changes in the middle of an utterance', async () => {
    const binder = new Believer('a');
    const pieces = (n: number): FaceId => (n < 30 ? 'a' : 'b') as FaceId;
    binder.bind = ({ start, end }) =>
      start >= picture(45)
        ? [{ start, end, why: 'nobody' }]
        : [
            { start, end: picture(30), why: 'seen', face: pieces(0) },
            { start: picture(30), end, why: 'seen', face: pieces(30) },
          ];
    expect(mouths(await told(binder))).toEqual([['u0', [[20, 40]]]]);
  });

  test('is not told where nobody was bound', async () => {
    expect(await told(new Believer())).toEqual([]);
  });
});

describe('a live programme', () => {
  const live = (delay: number): Partial<LipPathOptions> => ({
    pace: 'live',
    deadline: (t: MediaTime) => (t + delay) as ClockTime,
  });

  test('pictures that would come too late are left alone, without anybody waiting for them', async () => {
    const shots: Shot[] = [];
    const { lips, clock, driven, reports, look } = path(
      lipStagesOf({ lipDriver: paintingDriver(shots) }),
      live(ms(400)),
    );
    await look(0, 40);
    // Picture 10 is due at 0.8 s; it is 0.99 s: those up to the 14th are lost.
    await clock.advance(ms(990));
    lips.drive(takeOver(10, 30));
    await lips.settled();
    expect(driven.map(({ start }) => start / ms(40))).toEqual([...Array(15).keys()].map((n) => n + 15).slice(1));
    expect(reports[0]?.left).toEqual([{ start: picture(10), end: picture(16), why: 'late' }]);
    lips.close();
  });

  test('a driver that hangs costs its take, and nothing waits for ever', async () => {
    const hang = () => new Promise<void>(() => {});
    const { lips, clock, driven, reports, look } = path(
      lipStagesOf({ lipDriver: paintingDriver([], hang) }),
      live(ms(400)),
    );
    await look(0, 40);
    lips.drive(takeOver(10, 20));
    for (let n = 0; n < 60 && reports.length === 0; n += 1) await clock.advance(ms(40));
    expect(driven).toEqual([]);
    expect(reports).toMatchObject([{ driven: 0, left: [{ why: 'late' }] }]);
    lips.close();
  });
});

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { type ClockTime, type Interval, type MediaTime, ms } from '../../media/time.ts';
import type { Language, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
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
import { frameAt, picture, takeOver } from '../fakes/seen-faces.ts';
import { lipStagesOf, paintingDriver, scriptedSpeaker, scriptedTracker } from '../fakes/lip-stages.ts';

const saying = (from: number, to: number, id = 'u0') => ({
  id: id as UtteranceId,
  speaker: 's1' as SpeakerId,
  start: picture(from),
  end: picture(to),
});

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
  bind({ start, end }: Interval) {
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

import { Subject } from 'rxjs';
import { describe, expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { ManualClock } from '../../media/clock.ts';
import { type ClockTime, type Span, later, ms, seconds } from '../../media/time.ts';
import type { Clip, Cue, Utterance } from '../../pipeline/domain.ts';
import { dub } from '../../pipeline/dub.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import type { Stage } from '../../pipeline/stage.ts';
import type { LanguageStages } from '../../pipeline/voice.ts';
import { nearestSample } from '../fakes/pipeline-stretcher.ts';
import {
  DUB,
  House,
  ORIGINAL,
  ears,
  en,
  es,
  fr,
  failing,
  hear,
  chunk,
  script,
  segmenting,
  silent,
  spanish,
  turn,
} from '../fakes/house.ts';
import {
  type Said,
  diarizerOf,
  enhancerBy,
  recognizerOf,
  synthesizerAt,
  translatorTo,
  vadOf,
} from '../fakes/stages.ts';

test('every line is dubbed in its place, everything else is the original', async () => {
  const house = await hear(ears(), { es: spanish() });
  expect(house.lineLevels()).toEqual([DUB, DUB, DUB]);
  const dubbed = house.heard['es']!;
  expect(dubbed).toHaveLength(1_000);
  for (const [from, to] of [
    [0, 400],
    [1_700, 1_900],
    [3_200, 3_900],
    [5_300, 10_000],
  ] as const) {
    expect(new Set(dubbed.slice(from / 10, to / 10))).toEqual(new Set([ORIGINAL]));
  }
  expect(house.cues).toEqual(['es:One.', 'es:Two.', 'es:Three.']);
  expect(house.sourceCues).toEqual(['One.', 'Two.', 'Three.']);
  expect(house.faults).toEqual([]);
  expect(house.lines.map(({ outcome, source, text }) => [outcome, source, text])).toEqual([
    ['dubbed', 'One.', 'es:One.'],
    ['dubbed', 'Two.', 'es:Two.'],
    ['dubbed', 'Three.', 'es:Three.'],
  ]);
  expect(house.dubbing.totals).toEqual({ dubbed: 3, trimmed: 0, late: 0, captionOnly: 0 });
  expect(Object.values(house.dubbing.load.lost)).toEqual([0, 0, 0, 0, 0, 0]);
});

describe('whatever fails, every sample is played', () => {
  const [O, D] = [ORIGINAL, DUB];
  test.for([
    ['no synthesizer', ears(), { translator: translatorTo(es) }, [O, O, O], 3, 3, [], 'original translated'],
    ['no translator', ears(), { synthesizer: synthesizerAt(DUB) }, [O, O, O], 0, 3, [], 'original transcribed'],
    ['no recognizer', { vad: vadOf(script) }, spanish(), [O, O, O], 0, 0, [], 'original none'],
    ['no vad', { recognizer: recognizerOf(script) }, spanish(), [O, O, O], 0, 0, [], 'original none'],
    ['nothing at all', {}, {}, [O, O, O], 0, 0, [], 'original none'],
    [
      'no diarizer',
      { vad: vadOf(script), recognizer: recognizerOf(script) },
      spanish(),
      [D, D, D],
      3,
      3,
      [],
      'dubbed translated',
    ],
    [
      'a diarizer that breaks',
      { ...ears(), diarizer: failing(diarizerOf(script), 'broken') },
      spanish(),
      [D, D, D],
      3,
      3,
      ['diarizer broken'],
      'dubbed translated',
    ],
    [
      'a voice that breaks on the second line',
      ears(),
      spanish({ 'es:Two.': 'broken' }),
      [D, O, O],
      3,
      3,
      ['synthesizer:es broken'],
      'original translated',
    ],
    [
      'a voice that stumbles and comes back',
      ears(),
      spanish({ 'es:Two.': 'unavailable' }),
      [D, O, D],
      3,
      3,
      ['synthesizer:es unavailable'],
      'dubbed translated',
    ],
    [
      'a voice that refuses the second line',
      ears(),
      spanish({ 'es:Two.': 'rejected' }),
      [D, O, D],
      3,
      3,
      ['synthesizer:es rejected'],
      'dubbed translated',
    ],
    [
      'a translator that breaks',
      ears(),
      { translator: failing(translatorTo(es), 'broken'), synthesizer: synthesizerAt(DUB) },
      [O, O, O],
      0,
      3,
      ['translator:es broken'],
      'original transcribed',
    ],
    [
      'a translator too slow for the delay',
      ears(),
      { translator: translatorTo(es, seconds(5)), synthesizer: synthesizerAt(DUB) },
      [O, O, O],
      1,
      3,
      [],
      'dubbed translated',
    ],
    [
      'a recognizer that breaks',
      { ...ears(), recognizer: failing(recognizerOf(script), 'broken') },
      spanish(),
      [O, O, O],
      0,
      0,
      ['recognizer broken'],
      'original none',
    ],
    [
      'a vad that breaks',
      { ...ears(), vad: failing(vadOf(script), 'broken') },
      spanish(),
      [O, O, O],
      0,
      0,
      ['vad broken'],
      'original none',
    ],
    [
      'an enhancer that breaks leaves the audio as it came',
      { ...ears(), enhancer: failing(enhancerBy(2), 'broken') },
      spanish(),
      [D, D, D],
      3,
      3,
      ['enhancer broken'],
      'dubbed translated',
    ],
    [
      'an enhancer that never says a word leaves the audio as it came',
      { ...ears(), enhancer: silent(enhancerBy(2)) },
      spanish(),
      [D, D, D],
      3,
      3,
      ['enhancer timeout'],
      'dubbed translated',
    ],
    [
      'an enhancer that works',
      { ...ears(), enhancer: enhancerBy(2) },
      spanish(),
      [D, D, D],
      3,
      3,
      [],
      'dubbed translated',
    ],
  ] satisfies [string, SharedStages, LanguageStages, number[], number, number, string[], string][])(
    '%s',
    async ([, shared, stages, expected, cues, sourceCues, faults, mode]) => {
      const house = await hear(shared, { es: stages });
      expect(house.lineLevels()).toEqual(expected);
      expect(house.heard['es']).toHaveLength(1_000);
      expect(house.original).toEqual(new Array(1_000).fill(ORIGINAL));
      expect(house.timeline.missing).toBe(0);
      expect(house.cues).toHaveLength(cues);
      expect(house.sourceCues).toHaveLength(sourceCues);
      expect(house.faults).toEqual(faults);
      expect(house.modes.at(-1)).toBe(mode);
    },
  );
});

test('a voice that hangs is started again, and the mode says so meanwhile', async () => {
  let run = 0;
  const voice = synthesizerAt(DUB);
  const hanging: Stage<'synthesizer'> = {
    ...voice,
    run: (input, scope) => ((run += 1) === 1 ? silent(voice) : voice).run(input, scope),
  };
  const house = await hear(
    ears(),
    { es: { translator: translatorTo(es), synthesizer: hanging } },
    { stall: seconds(1) },
  );
  expect(house.lineLevels()).toEqual([ORIGINAL, DUB, DUB]);
  expect(house.faults).toEqual(['synthesizer:es timeout']);
  expect(house.modes).toEqual(
    ['original transcribed', 'dubbed translated', 'original translated', 'dubbed translated'].slice(
      -house.modes.length,
    ),
  );
  expect(house.lines.map(({ outcome }) => outcome)).toEqual(['refused', 'dubbed', 'dubbed']);
});

test('every line is accounted for: how long each step took, and the time that was left', async () => {
  const house = await hear(ears(), { es: { translator: translatorTo(es, ms(200)), synthesizer: synthesizerAt(DUB) } });
  const [first] = house.lines;
  expect(first).toMatchObject({
    utterance: 'u0.0',
    language: 'es',
    speaker: 's1',
    start: 500_000,
    end: 1_500_000,
    outcome: 'dubbed',
    speed: 0.9,
    rung: 'slowed',
  });
  expect(first!.after.translated! - first!.after.recognised).toBe(200_000);
  expect(first!.after.placed).toBe(first!.after.translated);
  // Placed 1.5 s (spoken) + 0.1 (its chunk's end) + 0.2 (translated) in; due 4 s after its start, less a fade.
  expect(first!.slack! / 1_000).toBeGreaterThan(2_500);
  const translator = house.dubbing.stages.find(({ name }) => name === 'translator:es')!;
  expect(translator.latency).toEqual({ p50: 200, p95: 200, count: 3 });
});

test('a line whose dub comes too late is heard in the original and recorded as late', async () => {
  const house = await hear(ears(), { es: spanish() }, { place: (clip) => clip.start >= 2_000_000 });
  expect(house.lines.map(({ outcome, dub }) => [outcome, dub === null])).toEqual([['late', true], ['dubbed', false], ['dubbed', false]]); // prettier-ignore
  expect(house.clips).toHaveLength(2);
  expect(house.cues).toHaveLength(3);
});

test('languages come and go while the programme runs', async () => {
  const house = new House(ears(), { es: spanish() });
  await house.play(ms(1_800));
  const french = house.add(fr, { translator: translatorTo(fr), synthesizer: synthesizerAt(0.75) });
  let over = false;
  french.clips$.subscribe({ complete: () => (over = true) });
  expect(() => house.add(fr, {})).toThrow('fr is already there');
  await house.play(ms(2_000));
  expect(house.dubbing.languages).toEqual([es, fr]);
  house.dubbing.removeLanguage(es);
  expect(house.dubbing.languages).toEqual([fr]);
  await house.play(ms(10_200));
  expect(house.lineLevels(es)).toEqual([DUB, DUB, ORIGINAL]);
  expect(
    house
      .lineLevels(fr)
      .map((x) => Math.round(x * 100) / 100)
      .slice(1),
  ).toEqual([0.75, 0.75]);
  expect(house.cues).toEqual(['es:One.', 'es:Two.', 'fr:Two.', 'fr:Three.']);
  expect(house.lines.map(({ language, source }) => `${language} ${source}`)).toEqual([
    'es One.',
    'es Two.',
    'fr Two.',
    'fr Three.',
  ]);
  expect(over).toBe(false);
  house.dubbing.removeLanguage(fr);
  expect(over).toBe(true);
  expect(house.dubbing.languages).toEqual([]);
});

test('two speakers keep their names, and the caption says who speaks', async () => {
  const spoken = [
    { from: 500, to: 1_500, text: 'Hello there.', speaker: 's1' },
    { from: 3_000, to: 4_000, text: 'Good morning.', speaker: 's2' },
  ];
  const house = new House({ ...ears(spoken), diarizer: diarizerOf(spoken, ms(300)) }, { es: spanish() });
  await house.play(seconds(9));
  expect(house.lines.map(({ speaker }) => speaker)).toEqual(['s1', 's2']);
});

describe('more than a stage can do', () => {
  const busy: Said[] = Array.from({ length: 40 }, (_, n) => ({
    from: n * 1_500 + 500,
    to: n * 1_500 + 1_500,
    text: `Line${n}.`,
  }));
  test('a translator that is too slow loses whole lines, and the rest are as early as the first', async () => {
    // One line comes every 1.5 s and takes 2.5 s.
    const house = new House(
      ears(busy),
      { es: { translator: translatorTo(es, ms(2_500)), synthesizer: synthesizerAt(DUB) } },
      { segmenting: { ...segmenting } },
    );
    await house.play(seconds(70));
    const outcomes = house.lines.toSorted((a, b) => a.start - b.start).map(({ outcome }) => outcome);
    expect(outcomes).toHaveLength(40);
    expect(new Set(outcomes)).toEqual(new Set(['dubbed', 'expired']));
    const dubbed = house.lines.filter(({ outcome }) => outcome === 'dubbed');
    expect(dubbed.length).toBeGreaterThan(12);
    expect(dubbed.length).toBeLessThan(30);
    for (const { dub, start } of dubbed) expect(dub!.start).toBe(start);
    const lag = dubbed.map(({ after }) => after.placed!);
    expect(lag.at(-1)!).toBeLessThanOrEqual(Math.max(...lag.slice(0, 5)) + 1_500_000);
    expect(Math.max(...lag)).toBeLessThan(4_000_000);
    const heard = house.lineLevels(es, busy);
    expect(heard).toEqual(busy.map((_, n) => (outcomes[n] === 'dubbed' ? DUB : ORIGINAL)));
    expect(house.original).toEqual(new Array(6_600).fill(ORIGINAL));
  });

  test('a recognizer that is too slow skips whole segments and catches up', async () => {
    const quick = recognizerOf(busy);
    const slow: Stage<'recognizer'> = {
      ...quick,
      run: (input, scope) =>
        quick.run(
          (async function* () {
            // 1.6 times as long as the audio lasts.
            for await (const heard of input) {
              await scope.clock.until(
                later(scope.clock.now(), ((heard.pcm.length / 16_000) * 1_600_000) as Span),
                scope.signal,
              );
              yield heard;
            }
          })(),
          scope,
        ),
    };
    const house = new House({ ...ears(busy), recognizer: slow }, { es: spanish() });
    await house.play(seconds(70));
    expect(house.lines.length).toBeGreaterThan(15);
    expect(house.lines.length).toBeLessThan(40);
    // What is recognised is whole.
    for (const { source, start } of house.lines)
      expect(source).toBe(busy.find(({ from }) => from * 1_000 === start)?.text);
    const dubbed = house.lines.filter(({ outcome }) => outcome === 'dubbed');
    expect(dubbed.length).toBeGreaterThan(10);
    expect(dubbed.at(-1)!.start).toBeGreaterThan(50_000_000);
    expect(house.dubbing.load.lost['recognizer']).toBeGreaterThan(0);
  });
});

test('a recorded programme loses nothing, however slow a stage is, and nothing piles up', async () => {
  const spoken: Said[] = Array.from({ length: 30 }, (_, n) => ({
    from: n * 2_000 + 200,
    to: n * 2_000 + 1_400,
    text: `Line${n}.`,
  }));
  const clock = new ManualClock();
  const audio$ = new Subject<AudioChunk>();
  const slow: Stage<'synthesizer'> = synthesizerAt(DUB);
  const dubbing = dub(audio$, ears(spoken), {
    from: en,
    clock,
    pace: 'recorded',
    stretcher: nearestSample,
    segmenting,
    deadline: () => 0 as ClockTime,
  });
  const clips: Clip[] = [];
  const cues: Cue[] = [];
  const said: Utterance[] = [];
  for (const language of [es, fr]) {
    const added = dubbing.addLanguage(language, { translator: translatorTo(language, seconds(2)), synthesizer: slow });
    added.clips$.subscribe((clip) => clips.push(clip));
    added.cues$.subscribe((cue) => !cue.draft && cues.push(cue));
  }
  dubbing.utterances$.subscribe((utterance) => said.push(utterance));
  dubbing.start();
  let most = 0;
  const feeding = (async () => {
    for (let tick = 0; tick < 620; tick += 1) {
      await dubbing.load.below(16);
      audio$.next(chunk(tick));
      most = Math.max(most, dubbing.load.pending);
    }
    audio$.complete();
  })();
  let over = false;
  const done = feeding.then(() => dubbing.done).then(() => (over = true));
  for (let i = 0; i < 3_000 && !over; i += 1) {
    await turn();
    await clock.advance(ms(100));
  }
  await done;
  expect(said).toHaveLength(30);
  for (const language of [es, fr]) {
    expect(clips.filter((clip) => clip.language === language)).toHaveLength(30);
    expect(cues.filter((cue) => cue.language === language)).toHaveLength(30);
  }
  expect(dubbing.totals).toEqual({ dubbed: 60, trimmed: 0, late: 0, captionOnly: 0 });
  expect(Object.values(dubbing.load.lost).every((lost) => lost === 0)).toBe(true);
  // The feeder stops at 16; what is under way by then may still become several items each.
  expect(most).toBeLessThan(64);
});

test('the end of the programme ends everything that was made of it', async () => {
  const house = new House(ears(), { es: spanish() });
  let cues = 0;
  house.dubbing.cues$.subscribe({ complete: () => (cues += 1) });
  await house.play(ms(4_600));
  house.audio$.complete();
  await house.dubbing.done;
  expect(cues).toBe(1);
  expect(house.cues).toEqual(['es:One.', 'es:Two.', 'es:Three.']);
});

test('at the end of the programme nobody waits to learn how long the last pause is', async () => {
  const voice = synthesizerAt(DUB);
  // Speaks for 1.2 s on a line of 1 s, 0.1 s before the programme ends.
  const long: Stage<'synthesizer'> = {
    ...voice,
    async *run(input, scope) {
      for await (const line of input) {
        const longer = (async function* () {
          yield { ...line, end: later(line.start, ms(1_500)) };
        })();
        for await (const speech of voice.run(longer, scope)) yield { ...speech, line };
      }
    },
  };
  const spoken = [{ from: 500, to: 1_500, text: 'One.' }];
  const house = new House(
    ears(spoken),
    { es: { translator: translatorTo(es), synthesizer: long } },
    { pace: 'recorded' },
  );
  await house.play(ms(1_600));
  house.audio$.complete();
  await house.dubbing.done;
  expect(house.lines.map(({ outcome, rung }) => [outcome, rung])).toEqual([['dubbed', 'stretched']]);
});

test('closing ends every stream and nothing more comes out', async () => {
  const house = new House(ears(), { es: spanish() });
  await house.play(ms(1_000));
  house.dubbing.close();
  await house.play(seconds(6));
  await house.dubbing.done;
  expect(house.cues).toEqual([]);
  expect(house.original).toHaveLength(300);
});

test('ids do not repeat after a restart', async () => {
  const house = new House(ears(), { es: spanish() }, { generation: 2 });
  await house.play(seconds(3));
  expect(house.lines[0]?.utterance).toBe('u2.0');
});

test('a stage that hears another rate is refused at once', () => {
  const wrong = { ...vadOf(script), caps: { rate: 8_000, lookahead: ms(0) } } as Stage<'vad'>;
  expect(() =>
    dub(new Subject(), { vad: wrong }, { from: en, clock: new ManualClock(), pace: 'live', stretcher: nearestSample }),
  ).toThrow('Cannot listen: vad scripted wants 8000 Hz, not 16000');
});

test('lookahead adds up along the graph', () => {
  const dubbing = dub(
    new Subject(),
    { ...ears(), diarizer: diarizerOf(script, ms(500)) },
    { from: en, clock: new ManualClock(), pace: 'live', stretcher: nearestSample },
  );
  dubbing.addLanguage(es, spanish());
  expect(dubbing.lookahead).toBe(ms(500));
});

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { medianPitch } from '../../media/pitch.ts';
import { Scope } from '../../media/scope.ts';
import { type Span, at, samples, seconds as spanOf, toMs } from '../../media/time.ts';
import { durationOf } from '../../media/audio.ts';
import { espeak } from '../../models/speak/espeak.ts';
import { ESPEAK_FILES, Espeak } from '../../models/speak/espeak-library.ts';
import { inTurn } from '../../models/speak/cast-voices.ts';
import { audible } from '../../models/speak/espeak.ts';
import { SPOKEN, TIMBRES, voiceFor } from '../../models/speak/espeak-voices.ts';
import { registry } from '../../models/index.ts';
import { CHILD_FROM, FEMALE_FROM, registerOf } from '../../pipeline/casting.ts';
import type {
  Casting,
  Delivery,
  Language,
  Line,
  Register,
  SpeakerId,
  Speech,
  UtteranceId,
} from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';

const TEXT = 'Los científicos han descubierto una especie nueva de pájaro en la selva amazónica.';
const line = (text: string, { n = 0, speaker = 's1', language = 'es', seconds = 6 } = {}): Line => ({
  utterance: `u${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: language as Language,
  start: at(n * 10_000_000),
  end: at(n * 10_000_000 + seconds * 1_000_000),
  text,
});
async function spoken(stage: Stage<'synthesizer'>, lines: readonly Line[]): Promise<Speech[]> {
  const input = async function* () {
    yield* lines;
  };
  const speech: Speech[] = [];
  const scope = { signal: new AbortController().signal, clock: new MonotonicClock() };
  for await (const part of stage.run(input(), scope)) speech.push(part);
  return speech;
}
const say = async (stage: Stage<'synthesizer'>, one: Line) => (await spoken(stage, [one]))[0]!;
const pitchOf = ({ chunk }: Speech) => medianPitch(chunk.pcm, chunk.rate)!.hertz;
const lengthOf = ({ chunk: { pcm, rate } }: Speech): Span =>
  samples(audible(Int16Array.from(pcm, (x) => x * 32_767)), rate);
const manner = (delivery: Partial<Delivery>): Delivery => ({ rate: 1, energy: 0, pitch: 0, ...delivery });
const wordsOf = ({ marks }: Speech) => marks.filter(({ type }) => type === 'word').map(({ text }) => text);

describe.skipIf(!ESPEAK_FILES.some((file) => existsSync(file)))('eSpeak NG (needs libespeak-ng1)', () => {
  const scope = new Scope('espeak');
  let stage: Stage<'synthesizer'>;
  beforeAll(async () => {
    stage = await espeak.load(espeak.config.parse({}), scope);
  });
  afterAll(() => scope.close());

  conforms(
    'eSpeak NG',
    () => espeak.load(espeak.config.parse({}), scope),
    () => [line(TEXT), line('', { n: 1 }), line('¡Adiós!', { n: 2, speaker: 's2' })],
  );
  conforms(
    'eSpeak NG in its thread',
    () => registry().load('synthesizer', 'espeak', {}, scope),
    () => [line(TEXT), line('¡Adiós!', { n: 1, speaker: 's2' })],
  );

  test('speaks a sentence in the time a person would, with every word and phoneme in order', async () => {
    const speech = await say(stage, line(TEXT));
    const seconds = toMs(durationOf(speech.chunk)) / 1_000;
    expect(seconds).toBeGreaterThan(3.5);
    expect(seconds).toBeLessThan(6);
    expect(wordsOf(speech)).toEqual(TEXT.replace('.', '').split(' '));
    const phonemes = speech.marks.filter(({ type }) => type === 'phoneme');
    expect(phonemes.length).toBeGreaterThan(60);
    const offsets = speech.marks.map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    expect(speech.last).toBe(true);
  });

  test('names the first word of every clause', async () => {
    const speech = await say(stage, line('¡Buenos días! ¿Cómo está el señor 25? Bien, gracias.'));
    expect(wordsOf(speech)).toEqual(['Buenos', 'días', 'Cómo', 'está', 'el', 'señor', '25', 'Bien', 'gracias']);
  });

  test('gives every speaker a voice of their own, the same each time', async () => {
    const pitches: number[] = [];
    for (let n = 1; n <= 11; n += 1) pitches.push(pitchOf(await say(stage, line(TEXT, { speaker: `s${n}` }))));
    const sorted = pitches.toSorted((a, b) => a - b);
    for (const [n, pitch] of sorted.slice(1).entries()) expect(pitch / sorted[n]!).toBeGreaterThan(1.07);
    expect(Math.abs(Math.log2(pitches[0]! / pitches[1]!))).toBeGreaterThan(0.8);
    const again = await say(stage, line(TEXT, { speaker: 's2' }));
    expect(Math.abs(pitchOf(again) / pitches[1]! - 1)).toBeLessThan(0.03);
  });

  const cast = (register: Register, place: number, text = TEXT, language = 'es'): Line => ({
    ...line(text, { speaker: 's1', language }),
    casting: { register, place } satisfies Casting,
  });

  test.for([
    ['es', TEXT],
    ['en', 'Scientists have discovered a new species of bird in the Amazon rain forest.'],
    ['zh', '科学家在亚马逊雨林发现了一种新的鸟类。'],
  ] as const)(
    'speaks for men, women and children as they are cast, each with a voice of their own, in %s',
    async ([language, text]) => {
      for (const register of ['male', 'female', 'child'] as const) {
        const voices = TIMBRES[register]!;
        const pitches: number[] = [];
        for (const [place] of voices.entries())
          pitches.push(pitchOf(await say(stage, cast(register, place, text, language))));
        // Chinese children are a little low: its voice file is.
        for (const pitch of pitches) {
          if (language !== 'zh' || register !== 'child')
            expect(registerOf(pitch), `${register} ${pitch}`).toBe(register);
          else expect(pitch).toBeGreaterThan(0.95 * CHILD_FROM);
          if (register === 'male') expect(pitch).toBeLessThan(0.93 * FEMALE_FROM);
        }
        const sorted = pitches.toSorted((a, b) => a - b);
        for (const [n, pitch] of sorted.slice(1).entries()) expect(pitch / sorted[n]!).toBeGreaterThan(1.005);
      }
    },
  );

  test('keeps a speaker’s voice from language to language', async () => {
    const es = pitchOf(await say(stage, cast('female', 2)));
    const fr = pitchOf(await say(stage, cast('female', 2, 'Le chien dort dans la maison depuis ce matin.', 'fr')));
    expect(Math.abs(es / fr - 1)).toBeLessThan(0.05);
  });

  test.for([0.85, 0.9, 1.1, 1.15, 1.2])('speaks %d times as fast where it is told to', async (rate) => {
    const calm = lengthOf(await say(stage, { ...line(TEXT), delivery: manner({}) }));
    const told = lengthOf(await say(stage, { ...line(TEXT), delivery: manner({ rate }) }));
    expect(Math.abs(calm / told / rate - 1)).toBeLessThan(0.03);
  });

  test('meets the length that is aimed at, within its natural rates and no further', async () => {
    const calm = lengthOf(await say(stage, { ...line(TEXT), delivery: manner({}) }));
    for (const share of [0.85, 0.9, 0.97, 1, 1.06, 1.13]) {
      const aim = (calm * share) as Span;
      const length = lengthOf(await say(stage, { ...line(TEXT), delivery: manner({ aim }) }));
      expect(Math.abs(length / aim - 1)).toBeLessThan(0.015);
    }
    const [least, most] = [0.1, 30].map((aim) => ({ ...line(TEXT), delivery: manner({ aim: spanOf(aim) }) }));
    expect(calm / lengthOf(await say(stage, least!))).toBeLessThan(1.22);
    expect(calm / lengthOf(await say(stage, most!))).toBeGreaterThan(0.83);
  });

  test('does not hurry by itself where it is told how to deliver a line', async () => {
    const short = { ...line(TEXT, { seconds: 1 }), delivery: manner({}) };
    const long = { ...line(TEXT, { seconds: 9 }), delivery: manner({}) };
    expect(lengthOf(await say(stage, short)) / lengthOf(await say(stage, long))).toBeCloseTo(1, 2);
  });

  test('speaks higher where the speaker did, half as much and never further than three semitones’ worth', async () => {
    const usual = pitchOf(await say(stage, { ...cast('male', 0), delivery: manner({}) }));
    const rises = [-30, -3, 3, 30];
    const told: number[] = [];
    for (const pitch of rises) {
      const said = pitchOf(await say(stage, { ...cast('male', 0), delivery: manner({ pitch }) }));
      told.push(12 * Math.log2(said / usual));
    }
    expect(told[1]!).toBeLessThan(-0.8);
    expect(told[1]!).toBeGreaterThan(-2);
    expect(told[2]!).toBeGreaterThan(0.8);
    expect(told[2]!).toBeLessThan(2);
    expect(Math.abs(told[0]! - told[1]!)).toBeLessThan(0.3);
    expect(Math.abs(told[3]! - told[2]!)).toBeLessThan(0.3);
  });

  test('speaks faster where the line has little room, but no faster than allowed', async () => {
    const calm = durationOf((await say(stage, line(TEXT, { seconds: 4 }))).chunk);
    const hurried = durationOf((await say(stage, line(TEXT, { seconds: 3.7 }))).chunk);
    const desperate = durationOf((await say(stage, line(TEXT, { seconds: 1 }))).chunk);
    expect(hurried).toBeLessThan(calm * 0.93);
    expect(Math.abs(desperate / hurried - 1)).toBeLessThan(0.02);
  });

  test('is as loud for every speaker, and never clips', async () => {
    for (const { chunk } of await spoken(
      stage,
      inTurn(TIMBRES).map((_, n) => line(TEXT, { n, speaker: `s${n}` })),
    )) {
      const rms = Math.sqrt(chunk.pcm.reduce((sum, sample) => sum + sample * sample, 0) / chunk.pcm.length);
      expect(Math.abs(20 * Math.log10(rms) + 21)).toBeLessThan(2);
      expect(chunk.pcm.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)).toBeLessThan(0.9);
    }
  });

  test('has each voice that the list of languages promises', () => {
    const own = new Espeak();
    scope.defer(() => own.close());
    for (const language of SPOKEN) {
      const voice = `${voiceFor(language)}+m3`;
      expect(own.say('a', { voice, rate: 175, pitch: 50 }).pcm.length, language).toBeGreaterThan(0);
    }
  });

  test('reads Chinese as Chinese', async () => {
    const speech = await say(stage, line('大家早上好，欢迎收看直播。', { language: 'zh' }));
    const phonemes = speech.marks.filter(({ type }) => type === 'phoneme');
    expect(phonemes.length).toBeGreaterThan(20);
  });

  test('refuses a language it cannot read, and goes on', async () => {
    await expect(say(stage, line('おはよう', { language: 'ja' }))).rejects.toMatchObject({ kind: 'rejected' });
    expect((await say(stage, line(TEXT))).chunk.pcm.length).toBeGreaterThan(0);
  });

  test('speaks two languages in two threads at once without mixing them up', async () => {
    const threads = await Promise.all([1, 2].map(() => registry().load('synthesizer', 'espeak', {}, scope)));
    const lines = (language: string) =>
      Array.from({ length: 20 }, (_, n) => line(TEXT, { n, language, speaker: `s${n}` }));
    const said = (speech: readonly Speech[]) => speech.map(({ marks }) => marks.map(({ text }) => text).join(' '));
    const alone = [said(await spoken(threads[0]!, lines('es'))), said(await spoken(threads[1]!, lines('fr')))];
    const together = await Promise.all([spoken(threads[0]!, lines('es')), spoken(threads[1]!, lines('fr'))]);
    expect(together.map(said)).toEqual(alone);
    expect(alone[0]![0]).not.toBe(alone[1]![0]);
  });

  test('keeps no memory of what it said, over two hundred lines', async () => {
    // When the collector runs by itself is chance; what it leaves is not.
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const held: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      for (let n = 0; n < 40; n += 1) await say(stage, line(TEXT, { n, speaker: `s${n}` }));
      collect();
      held.push(process.memoryUsage().rss);
    }
    // The first rounds fill the heap; a leak of a line's samples would go on at 15 MB a round.
    expect(held[9]! - held[4]!).toBeLessThan(40e6);
  });
});

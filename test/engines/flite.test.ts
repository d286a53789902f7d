import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { durationOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { medianPitch } from '../../media/pitch.ts';
import { Scope } from '../../media/scope.ts';
import { at, toMs } from '../../media/time.ts';
import { flite } from '../../models/speak/flite.ts';
import { FLITE_FILES, FLITE_VOICES, installedFliteVoices } from '../../models/speak/flite-library.ts';
import { registry } from '../../models/index.ts';
import { registerOf } from '../../pipeline/casting.ts';
import type { Language, Line, Register, SpeakerId, Speech, UtteranceId } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { sentences } from './sentences.ts';

const TEXT = "Good morning, everyone: it is 25 degrees in Dr. Smith's office.";
const line = (text: string, { n = 0, speaker = 's1', language = 'en' } = {}): Line => ({
  utterance: `u${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: language as Language,
  start: at(n * 10_000_000),
  end: at(n * 10_000_000 + 6_000_000),
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

describe.skipIf(!FLITE_FILES.some((file) => existsSync(file)))('Flite (needs libflite1)', () => {
  const scope = new Scope('flite');
  let stage: Stage<'synthesizer'>;
  beforeAll(async () => {
    stage = await flite.load(flite.config.parse({}), scope);
  });
  afterAll(() => scope.close());

  const sample = () => [line(TEXT), line(' ', { n: 1 }), line('Goodbye!', { n: 2, speaker: 's2' })];
  conforms('Flite', () => flite.load(flite.config.parse({}), scope), sample);
  conforms('Flite in its thread', () => registry().load('synthesizer', 'flite', {}, scope), sample);

  test('speaks a sentence in the time a person would, with every word in its place', async () => {
    const speech = await say(stage, line(TEXT));
    expect(toMs(durationOf(speech.chunk))).toBeGreaterThan(3_000);
    expect(toMs(durationOf(speech.chunk))).toBeLessThan(6_000);
    const words = speech.marks.filter(({ type }) => type === 'word');
    expect(words.map(({ text }) => text)).toEqual(
      "Good morning everyone it is 25 degrees in Dr Smith's office".split(' '),
    );
    expect(words[0]!.offset).toBe(30_000);
    expect(
      speech.marks
        .filter(({ type }) => type === 'phoneme')
        .map(({ text }) => text)
        .join(''),
    ).toContain('mɔɹnɪŋ');
  });

  test('starts and ends with speech, not with silence', async () => {
    for (const [n] of FLITE_VOICES.entries()) {
      const { chunk } = await say(stage, line('Scientists have discovered a new bird.', { speaker: `s${n + 1}` }));
      const loud = chunk.pcm.findIndex((sample) => Math.abs(sample) > 0.02);
      const quiet = chunk.pcm.length - chunk.pcm.findLastIndex((sample) => Math.abs(sample) > 0.02);
      expect(loud / chunk.rate).toBeLessThan(0.15);
      expect(quiet / chunk.rate).toBeLessThan(0.2);
    }
  });

  test('gives every speaker a voice of their own, as far as there are voices', async () => {
    const pitches: number[] = [];
    for (const [n] of installedFliteVoices().entries()) {
      const { chunk } = await say(stage, line(TEXT, { speaker: `s${n + 1}` }));
      pitches.push(Math.round(medianPitch(chunk.pcm, chunk.rate)!.hertz));
    }
    expect(new Set(pitches).size).toBe(installedFliteVoices().length);
    expect(Math.abs(Math.log2(pitches[0]! / pitches[1]!))).toBeGreaterThan(0.5);
  });

  const whole = installedFliteVoices().length === FLITE_VOICES.length;
  test.skipIf(!whole)('speaks for men and women as they are cast, each with a voice of their own', async () => {
    const pitchOf = async (register: Register, place: number) => {
      const { chunk } = await say(stage, { ...line(TEXT), casting: { register, place } });
      return medianPitch(chunk.pcm, chunk.rate)!.hertz;
    };
    const men = [await pitchOf('male', 0), await pitchOf('male', 1), await pitchOf('male', 2)];
    const women = [await pitchOf('female', 0), await pitchOf('female', 1)];
    // The recorded woman's voice is a low one.
    expect(Math.min(...women)).toBeGreaterThan(155);
    expect(Math.max(...men)).toBeLessThan(140);
    expect(registerOf(women[1]!)).toBe('female');
    for (const alike of [men, women]) {
      const sorted = alike.toSorted((a, b) => a - b);
      for (const [n, pitch] of sorted.slice(1).entries()) expect(pitch / sorted[n]!).toBeGreaterThan(1.08);
    }
    // There is no child among its voices: a woman speaks.
    expect(await pitchOf('child', 0)).toBeCloseTo(women[1]!, 0);
  });

  test.for(FLITE_VOICES.filter((voice) => installedFliteVoices().includes(voice)))(
    '%s speaks as fast as it is told to, and no faster than is natural',
    async (voice) => {
      const one = await flite.load(flite.config.parse({ voices: [voice] }), scope);
      const length = async (rate: number) =>
        durationOf((await say(one, { ...line(TEXT), delivery: { rate, energy: 0, pitch: 0 } })).chunk);
      const calm = durationOf((await say(one, line(TEXT))).chunk);
      for (const rate of [0.85, 1.15]) expect(Math.abs(calm / (await length(rate)) / rate - 1)).toBeLessThan(0.03);
      expect(await length(3)).toBe(await length(1.2));
      expect(durationOf((await say(one, line(TEXT))).chunk)).toBe(calm);
    },
  );

  test('keeps to the voices it was told to use', async () => {
    const one = await flite.load(flite.config.parse({ voices: ['rms'] }), scope);
    const [first, second] = await spoken(one, [line(TEXT, { speaker: 's1' }), line(TEXT, { n: 1, speaker: 's2' })]);
    expect(first!.marks).toEqual(second!.marks);
    expect(flite.config.safeParse({ voices: ['kevin'] }).success).toBe(false);
  });

  test('refuses any language but English', async () => {
    await expect(say(stage, line('Hola', { language: 'es' }))).rejects.toMatchObject({ kind: 'rejected' });
    expect((await say(stage, line('Hello', { language: 'en-GB' }))).chunk.pcm.length).toBeGreaterThan(0);
  });

  test('reads what is not English without falling over', async () => {
    const texts = ['...', 'é ü 你好', 'a', '123 456 $7.50', 'x'.repeat(300)];
    expect(
      await spoken(
        stage,
        texts.map((text, n) => line(text, { n })),
      ),
    ).toHaveLength(texts.length);
  });

  test('speaks in two threads at once as in one', async () => {
    const threads = await Promise.all([1, 2].map(() => registry().load('synthesizer', 'flite', {}, scope)));
    const lines = Array.from({ length: 20 }, (_, n) => line(TEXT, { n, speaker: `s${n}` }));
    const alone = await spoken(threads[0]!, lines);
    const together = await Promise.all(threads.map((thread) => spoken(thread, lines)));
    const marks = (speech: readonly Speech[]) => speech.map((part) => part.marks);
    expect(together.map(marks)).toEqual([marks(alone), marks(alone)]);
  });

  test('keeps no memory of what it said, over two hundred lines', async () => {
    const held: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      for (let n = 0; n < 40; n += 1) await say(stage, line(TEXT, { n, speaker: `s${n}` }));
      held.push(process.memoryUsage().rss);
    }
    // The first rounds fill the collector's heap; a leak of a line's samples would go on at 15 MB a round.
    expect(held[9]! - held[4]!).toBeLessThan(25e6);
  });

  const deaf = registry().lacks('recognizer', 'pocketsphinx').length > 0;
  test.skipIf(deaf)('is understood by a recogniser, more than four words of five', async () => {
    const slt = await flite.load(flite.config.parse({ voices: ['slt'] }), scope);
    const recognizer = await registry().load('recognizer', 'pocketsphinx', {}, scope);
    // Names are for a larger vocabulary than the recogniser's.
    const plain = sentences.filter((text) => !/Jordi|Barcelona|Shelley|Amazon/.test(text));
    const speech = await spoken(
      slt,
      plain.map((text, n) => line(text, { n })),
    );
    const heard: string[] = [];
    const input = async function* () {
      for (const [segment, { chunk }] of speech.entries()) {
        // As much silence around it as a speech detector leaves.
        const pcm = new Float32Array(chunk.pcm.length + 9_600);
        pcm.set(chunk.pcm, 4_800);
        yield { ...chunk, pcm, start: at(segment * 10_000_000), segment, last: true };
      }
    };
    const signal = new AbortController().signal;
    for await (const belief of recognizer.run(input(), { signal, clock: new MonotonicClock() })) {
      if (belief.final) heard[belief.segment] = belief.stable.map(({ text }) => text).join(' ');
    }
    const words = (text: string) => text.toLowerCase().match(/[a-z']+/g) ?? [];
    const errors = plain.map((text, n) => distance(words(text), words(heard[n] ?? '')));
    const rate = errors.reduce((sum, n) => sum + n, 0) / plain.flatMap(words).length;
    expect(rate, heard.join(' / ')).toBeLessThan(0.2);
  });
});

/** Words put in, left out or replaced (Levenshtein). */
function distance(said: readonly string[], heard: readonly string[]): number {
  let row = heard.map((_, n) => n + 1);
  for (const [i, word] of said.entries()) {
    let left = i + 1;
    row = row.map((up, j) => {
      const corner = j === 0 ? i : row[j - 1]!;
      left = Math.min(left + 1, up + 1, corner + (word === heard[j] ? 0 : 1));
      return left;
    });
  }
  return row.at(-1) ?? said.length;
}

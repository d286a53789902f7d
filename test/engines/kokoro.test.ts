import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { kokoro } from '../../models/speak/kokoro.ts';
import { needsSpeakData, speakData } from '../../models/sherpa/sherpa-files.ts';
import { openVoice } from '../../models/sherpa/sherpa.ts';
import type { Language, Line, Register, SpeakerId, Speech, UtteranceId } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { unpacked } from '../fakes/unpacked.ts';

const line = (text: string, { n = 0, speaker = 's1', language = 'en' } = {}): Line => ({
  utterance: `u${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: language as Language,
  start: at(n * 10_000_000),
  end: at(n * 10_000_000 + 6_000_000),
  text,
});

/** A stand-in with Kokoro's ports and metadata (`models/export/kokoro.py`): it tells what it was given, and is no voice. */
describe.skipIf(!needsSpeakData.present())('Kokoro, a stand-in for its network (needs libespeak-ng1)', () => {
  const { directory, remove } = unpacked('kokoro');
  const scope = new Scope('kokoro');
  afterAll(async () => {
    await scope.close();
    remove();
  });
  const TINY = { model: directory };
  const load = (config: object = {}) => kokoro.load(kokoro.config.parse({ ...TINY, ...config }), scope);
  const say = async (one: Line, config: object = {}): Promise<Speech> => {
    const input = async function* () {
      yield one;
    };
    const run = { signal: new AbortController().signal, clock: new MonotonicClock() };
    for await (const part of (await load(config)).run(input(), run)) return part;
    throw new Error('nothing was said');
  };
  const reference = JSON.parse(readFileSync(join(directory, 'reference.json'), 'utf8')) as {
    readonly text: string;
    readonly ids: readonly number[];
    readonly hop: number;
  };
  const sample = () => [
    line('This is the first sentence. And here is one more!'),
    line('', { n: 1 }),
    line('Goodbye.', { n: 2, speaker: 's2' }),
  ];
  conforms('Kokoro', () => load(), sample);
  conforms('Kokoro in its thread', () => registry().load('synthesizer', 'kokoro', TINY, scope), sample);

  test.for([0, 7])('the network is given the phonemes, voice %d and the speed', async (speaker) => {
    const [model, voices, tokens] = ['model.onnx', 'voices.bin', 'tokens.txt'].map((name) => join(directory, name));
    const dataDir = speakData(directory);
    const files = { model: model!, voices: voices!, tokens: tokens!, dataDir, lexicon: '', lang: 'en-us' };
    const voice = await openVoice({ kokoro: files }, 1);
    expect([voice.rate, voice.speakers]).toEqual([24_000, 53]);
    const pcm = voice.say({ text: reference.text, speaker, pronounced: 'en-us', speed: 2 });
    expect(pcm.length).toBe(reference.ids.length * reference.hop);
    for (const [n, id] of reference.ids.entries()) {
      const [i, style] = [n * reference.hop + 31, 0.001 * speaker + 0.0001 * reference.ids.length];
      const tone = 0.2 * Math.sin((2 * Math.PI * (200 + 40 * id) * 31) / 24_000);
      // Which length's style is taken is the library's to say, so a step of it is left open.
      expect(Math.abs(pcm[i]! - (tone + style) / 2)).toBeLessThan(2e-4);
    }
  });

  test('a speaker keeps a voice, of those that were made for the language', async () => {
    // The stand-in adds a thousandth for each voice's number.
    const offset = async (one: Line) => {
      const { pcm } = (await say(one)).chunk;
      const mean = pcm.reduce((sum, x) => sum + x, 0) / pcm.length;
      return mean / Math.sqrt(pcm.reduce((sum, x) => sum + (x - mean) ** 2, 0) / pcm.length);
    };
    const one = await offset(line(reference.text));
    expect(await offset(line(reference.text, { n: 1 }))).toBe(one);
    expect(Math.abs((await offset(line(reference.text, { speaker: 's2' }))) - one)).toBeGreaterThan(0.003);
    expect(await offset(line(reference.text, { language: 'es' }))).toBeGreaterThan(one + 0.1);
  });

  test('men and women have voices of their own register, in French too, where there is but one', async () => {
    // The stand-in's sound is told apart by the voice's number, and says nothing of its pitch.
    const voice = async (register: Register, place: number, language: string) => {
      const { pcm } = (await say({ ...line(reference.text, { language }), casting: { register, place } })).chunk;
      const mean = pcm.reduce((sum, x) => sum + x, 0) / pcm.length;
      return (mean / Math.sqrt(pcm.reduce((sum, x) => sum + (x - mean) ** 2, 0) / pcm.length)).toFixed(4);
    };
    for (const language of ['en', 'fr']) {
      const said = [
        await voice('male', 0, language),
        await voice('male', 1, language),
        await voice('female', 0, language),
      ];
      expect(new Set(said).size).toBe(3);
    }
    expect(await voice('male', 0, 'es')).toBe(await voice('male', 0, 'es-MX'));
    expect(await voice('child', 0, 'hi')).toBe(await voice('female', 1, 'hi'));
  });

  test('says how many voices it has and how fast they may speak', async () => {
    const stage = await load();
    expect(stage.caps.rates).toEqual({ slowest: 0.85, fastest: 1.2 });
    expect(stage.caps.voices).toBe(40);
  });

  test('says Spanish as it is pronounced in Spanish', async () => {
    const english = await say(line('hijo', { language: 'en' }));
    const spanish = await say(line('hijo', { language: 'es' }));
    expect(spanish.chunk.pcm.length).not.toBe(english.chunk.pcm.length);
  });

  test('a language it does not speak is refused when it loads, and rejected in a line', async () => {
    await expect(load({ language: 'de' })).rejects.toMatchObject({
      kind: 'broken',
      message: "Cannot load Kokoro: it does not speak 'de'; it speaks en-GB, en, es, fr, hi, it, pt",
    });
    await expect(say(line('Guten Tag.', { language: 'de' }))).rejects.toMatchObject({ kind: 'rejected' });
  });

  test('voices of another network are a fault, and the process lives', async () => {
    const voices = readFileSync(join(directory, 'voices.bin'));
    writeFileSync(join(directory, 'voices.bin'), voices.subarray(4));
    await expect(registry().load('synthesizer', 'kokoro', TINY, scope)).rejects.toMatchObject({ kind: 'broken' });
    writeFileSync(join(directory, 'voices.bin'), voices);
  });
});

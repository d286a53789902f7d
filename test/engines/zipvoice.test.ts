import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { encodeWav } from '../../media/wav.ts';
import { registry } from '../../models/index.ts';
import { needsSpeakData } from '../../models/sherpa/sherpa-files.ts';
import { zipvoice } from '../../models/speak/zipvoice.ts';
import type { Language, Line, Reference, SpeakerId, Speech, UtteranceId } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { unpacked } from '../fakes/unpacked.ts';

/** Somebody's voice: a hum with this much noise in it. */
function voice(id: string, { length = 5, noise = 0.1, text = 'this is what is said' } = {}): Reference {
  let seed = 1;
  const pcm = Float32Array.from({ length: length * 16_000 }, (_, n) => {
    seed = (seed * 16_807) % 2_147_483_647;
    return 0.2 * Math.sin(n * 0.05) + noise * (seed / 2_147_483_647 - 0.5);
  });
  return { id, speaker: 's1' as SpeakerId, rate: 16_000, pcm, text };
}
const OWN = voice('own');
const line = (
  text: string,
  { n = 0, reference, language = 'en' }: { n?: number; reference?: Reference | undefined; language?: string } = {},
): Line => ({
  utterance: `u${n}` as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: language as Language,
  start: at(n * 10_000_000),
  end: at(n * 10_000_000 + 6_000_000),
  text,
  ...(reference && { reference }),
});

/** Stand-ins with ZipVoice's ports (`models/export/zipvoice.py`): they tell what they were given, and are no voice. */
describe.skipIf(!needsSpeakData.present())('ZipVoice, stand-ins for its networks (needs libespeak-ng1)', () => {
  const { directory, remove } = unpacked('zipvoice');
  const stock = mkdtempSync(join(tmpdir(), 'livedub-stock-'));
  const scope = new Scope('zipvoice');
  const before = process.env['LIVEDUB_VOICES'];
  beforeEach(() => {
    process.env['LIVEDUB_VOICES'] = join(stock, 'none');
  });
  afterEach(() => {
    if (before === undefined) delete process.env['LIVEDUB_VOICES'];
    else process.env['LIVEDUB_VOICES'] = before;
  });
  afterAll(async () => {
    await scope.close();
    remove();
    rmSync(stock, { recursive: true });
  });
  const TINY = { model: directory };
  const load = (config: object = {}) => zipvoice.load(zipvoice.config.parse({ ...TINY, ...config }), scope);
  const say = async (one: Line, config: object = {}): Promise<Speech[]> => {
    const input = async function* () {
      yield one;
    };
    const parts: Speech[] = [];
    const run = { signal: new AbortController().signal, clock: new MonotonicClock() };
    for await (const part of (await load(config)).run(input(), run)) parts.push(part);
    return parts;
  };
  const countOf = (parts: readonly Speech[]) => parts.reduce((sum, { chunk }) => sum + chunk.pcm.length, 0);

  const sample = () => [
    line('This is the first sentence. And here is one more!', { reference: OWN }),
    line('', { n: 1 }),
    line('Goodbye to you.', { n: 2, reference: OWN }),
  ];
  conforms('ZipVoice', () => load(), sample);
  conforms('ZipVoice in its thread', () => registry().load('synthesizer', 'zipvoice', TINY, scope), sample);

  test('speaks at the rate of its vocoder, and what it says comes without the voice it was said with', async () => {
    const stage = await load();
    expect(stage.caps).toMatchObject({
      clonesVoice: true,
      voices: Infinity,
      languages: ['en'],
      rates: { slowest: 0.85, fastest: 1.2 },
    });
    const [part] = await say(line('This is a sentence.', { reference: OWN }));
    expect(part!.chunk.rate).toBe(24_000);
    expect(part!.line).toEqual(line('This is a sentence.'));
    expect(part!.line).not.toHaveProperty('reference');
  });

  test('is told what is said in the voice', async () => {
    const brief = await say(line('This is a sentence.', { reference: voice('a', { text: 'yes' }) }));
    const wordy = await say(
      line('This is a sentence.', { reference: voice('b', { text: 'these are a good many words' }) }),
    );
    // A frame of the stand-in for every phoneme of the prompt.
    expect((countOf(wordy) - countOf(brief)) / 256).toBeGreaterThan(10);
  });

  test('while a speaker is unknown, a line is rejected so that the stand-in speaks, and said once a voice is known', async () => {
    const text = 'This is a sentence.';
    const unknown = [undefined, voice('short', { length: 2 }), voice('mute', { text: ' ' })];
    for (const reference of unknown)
      await expect(say(line(text, { reference }))).rejects.toMatchObject({ kind: 'rejected' });
    expect(countOf(await say(line(text, { reference: OWN })))).toBeGreaterThan(0);
  });

  test('a stock voice speaks while a speaker is unknown', async () => {
    process.env['LIVEDUB_VOICES'] = stock;
    writeFileSync(join(stock, 'anna.wav'), encodeWav(OWN.pcm, 16_000));
    writeFileSync(join(stock, 'anna.txt'), 'this is what is said');
    expect(countOf(await say(line('This is a sentence.')))).toBeGreaterThan(0);
  });

  test('Chinese is refused as long as there is no lexicon', async () => {
    await expect(load({ language: 'zh' })).rejects.toMatchObject({
      kind: 'broken',
      message: "Cannot load ZipVoice: it does not speak 'zh'; it speaks en",
    });
  });

  test('another vocoder is a fault, and the process lives', async () => {
    const other = unpacked('zipvoice');
    scope.defer(() => other.remove());
    writeFileSync(join(other.directory, 'vocos_24khz.onnx'), 'no network');
    const loading = registry().load('synthesizer', 'zipvoice', { model: other.directory }, scope);
    await expect(loading).rejects.toMatchObject({ kind: 'broken' });
  });
});

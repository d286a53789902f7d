import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';
import { WhisperListener } from '../../models/recognize/whisper-decoder.ts';
import { MelWindow } from '../../models/recognize/whisper-mel.ts';
import { whisperShape } from '../../models/recognize/whisper-model.ts';
import { WhisperTokens } from '../../models/recognize/whisper-tokens.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';
import { WHISPER, type WhisperReading, type WhisperReference, formula } from '../fakes/whisper.ts';

const reference = JSON.parse(readFileSync(join(WHISPER, 'reference.json'), 'utf8')) as WhisperReference;
const scope = new Scope('test');
afterAll(() => scope.close());

const open = (part: string) => openOnnx(join(WHISPER, 'onnx', part), scope);
let networks: { encoder: Awaited<ReturnType<typeof open>>; decoder: Awaited<ReturnType<typeof open>> };
let listener: WhisperListener;
beforeAll(async () => {
  networks = { encoder: await open('encoder_model.onnx'), decoder: await open('decoder_model_merged.onnx') };
  listener = new WhisperListener(networks, whisperShape(WHISPER), WhisperTokens.in(WHISPER));
});

const featuresOf = (pcm: Float32Array) => {
  const window = new MelWindow(80, 500);
  window.push(pcm.subarray(0, 80_000));
  return window.features();
};
const clip = 'speech/librispeech_1089/1089-134691-0000.flac';
const absent = missing(clip);
const readings: [string, () => Float32Array, WhisperReading][] = [
  ['ten digits of a synthetic voice', () => decode(join(WHISPER, 'digits.flac'), 16_000), reference.digits],
  ['a sweep in noise', () => formula(48_000), reference.formula],
];
if (absent === undefined)
  readings.push(['a recording of LibriSpeech', () => decode(recording(clip), 16_000), reference.clip]);

describe.for(readings)('openai/whisper and ours, of %s', ([, samples, wanted]) => {
  const never = new AbortController().signal;
  const hear = () => listener.hear(featuresOf(samples()));

  test('hear the same spectrogram', () => {
    const features = featuresOf(samples());
    const furthest = wanted.mel.flatMap((row, band) =>
      row.map((value, n) => Math.abs(value - features[band * 8 * 500 + n * 16]!)),
    );
    expect(Math.max(...furthest)).toBeLessThan(1e-4);
  });

  test('make the same of it in the encoder', async () => {
    const { last_hidden_state } = await networks.encoder.run({
      input_features: floats(featuresOf(samples()), [1, 80, 500]),
    });
    const states = floatsOf(last_hidden_state, 'states');
    const furthest = wanted.encoder.flatMap((row, n) =>
      row.map((value, k) => Math.abs(value - states[n * 25 * 24 + k * 4]!)),
    );
    expect(Math.max(...furthest)).toBeLessThan(2e-3);
  });

  test('write the same tokens, as surely, with and without a prompt', async () => {
    const heard = await hear();
    for (const { prompt, tokens, text, logprob, noSpeech } of wanted.greedy) {
      const writing = await heard.write({ context: prompt, language: 'en', settled: [], most: 32, signal: never });
      expect(writing.tokens).toEqual(tokens);
      expect(listener.tokens.decode(writing.tokens).trim()).toBe(text);
      expect(writing.logprob).toBeCloseTo(logprob, 3);
      expect(writing.noSpeech).toBeCloseTo(noSpeech, 3);
    }
  });

  test('place the words at the same times', async () => {
    const [{ tokens }] = wanted.greedy as [WhisperReading['greedy'][number]];
    const heard = await hear();
    const positions = Math.floor(Math.floor(Math.min(wanted.samples, 80_000) / 160) / 2);
    const begins = await heard.places(tokens, 'en', positions);
    const words = listener.tokens.words(tokens, 'en');
    let at = 0;
    const places = words.map((word) => {
      const start = begins![at]! * 0.02;
      return { start, end: begins![(at += word.tokens.length)]! * 0.02 };
    });
    expect(places.length).toBe(wanted.words.length);
    for (const [n, { start, end }] of places.entries()) {
      expect(start).toBeCloseTo(wanted.words[n]!.start, 5);
      expect(end).toBeCloseTo(wanted.words[n]!.end, 5);
    }
  });

  test('guess the same language', async () => {
    const languages = await (await hear()).languages();
    for (const [code, chance] of Object.entries(wanted.languages)) expect(languages.get(code)).toBeCloseTo(chance, 3);
  });

  test('go on from settled words as if they had just been written: cached steps are a whole pass', async () => {
    const heard = await hear();
    const whole = await heard.write({ context: [], language: 'en', settled: [], most: 12, signal: never });
    for (let cut = 1; cut < whole.tokens.length; cut += 1) {
      const settled = whole.tokens.slice(0, cut);
      const rest = await heard.write({ context: [], language: 'en', settled, most: 12 - cut, signal: never });
      expect([...settled, ...rest.tokens]).toEqual(whole.tokens);
      expect(rest.focus).toEqual(whole.focus!.slice(cut));
    }
  });
});

describe('transformers.js and ours, on the same files', () => {
  test('hear the same spectrogram and write the same tokens', async () => {
    const { WhisperFeatureExtractor, WhisperForConditionalGeneration } = await import('@huggingface/transformers');
    const [, samples] = readings[0]!;
    const pcm = samples();
    const extractor = new WhisperFeatureExtractor({
      feature_size: 80,
      n_fft: 400,
      hop_length: 160,
      chunk_length: 5,
      n_samples: 80_000,
      nb_max_frames: 500,
      sampling_rate: 16_000,
    });
    const { input_features } = (await extractor(pcm)) as { input_features: { data: Float32Array } };
    const ours = featuresOf(pcm);
    expect(Math.max(...ours.map((value, n) => Math.abs(value - input_features.data[n]!)))).toBeLessThan(1e-4);

    const theirs = await WhisperForConditionalGeneration.from_pretrained(WHISPER, {
      dtype: 'fp32',
      local_files_only: true,
    });
    const { start, transcribe, noTimestamps, languages } = listener.tokens;
    const head = [start, languages.get('en')!, transcribe, noTimestamps];
    const generated = (await theirs.generate({
      inputs: input_features as never,
      decoder_input_ids: head,
      max_new_tokens: 12,
    })) as unknown as { tolist(): bigint[][] };
    const heard = await listener.hear(ours);
    const writing = await heard.write({
      context: [],
      language: 'en',
      settled: [],
      most: 12,
      signal: new AbortController().signal,
    });
    const written = generated.tolist()[0]!.map(Number).slice(head.length);
    expect(written.filter((token) => token < listener.tokens.endOfText)).toEqual(writing.tokens);
    await theirs.dispose();
  });
});

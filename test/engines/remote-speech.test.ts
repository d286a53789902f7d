import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, ManualClock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms, samples } from '../../media/time.ts';
import { encodeWav } from '../../media/wav.ts';
import { EngineRegistry } from '../../models/engine.ts';
import { engines } from '../../models/index.ts';
import { spendingReports } from '../../models/service/spending.ts';
import { castable, referenceFor, stockVoices } from '../../models/speak/stock-voices.ts';
import type { Language, Line, Reference, Register, SpeakerId, Speech, UtteranceId } from '../../pipeline/domain.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { MISBEHAVIOURS, type Misbehaviour, SpeechServer } from '../fakes/speech-server.ts';

const TEXT = 'Penguins quarrel about marmalade, and nobody minds.';
const WORDS = ['Penguins', 'quarrel', 'about', 'marmalade', 'and', 'nobody', 'minds'];
const REFERENCE: Reference = {
  id: 'r1',
  speaker: 's1' as SpeakerId,
  rate: 24_000,
  pcm: Float32Array.from({ length: 48_000 }, (_, n) => Math.sin(n / 20) / 2),
  text: 'what the speaker said before',
};
const line = (
  text = TEXT,
  { n = 0, speaker = 's1', language = 'en', reference = undefined as Reference | undefined } = {},
): Line => ({
  utterance: `u${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: language as Language,
  start: at(n * 10_000_000),
  end: at(n * 10_000_000 + 5_000_000),
  text,
  ...(reference && { reference }),
});

interface Kind {
  readonly name: string;
  readonly id: string;
  readonly base: string;
  readonly config?: object;
  readonly rate: number;
  readonly clones: boolean;
  readonly marks?: boolean;
}
const KINDS: readonly Kind[] = [
  { name: 'CosyVoice', id: 'cosyvoice', base: '/cosyvoice', rate: 24_000, clones: true },
  { name: 'F5-TTS', id: 'f5-tts', base: '/f5', rate: 24_000, clones: true },
  { name: 'Index-TTS2', id: 'index-tts2', base: '/index', rate: 22_050, clones: true },
  {
    name: 'Index-TTS2 with consent',
    id: 'index-tts2',
    base: '/index',
    config: { consent: 'c1' },
    rate: 22_050,
    clones: true,
  },
  { name: 'Fish-Speech', id: 'fish-speech', base: '/fish', rate: 44_100, clones: true },
  { name: 'ElevenLabs', id: 'elevenlabs', base: '/eleven', rate: 24_000, clones: false, marks: true },
  {
    name: 'ElevenLabs by WebSocket',
    id: 'elevenlabs',
    base: '/eleven',
    config: { transport: 'websocket', clone: true },
    rate: 24_000,
    clones: true,
    marks: true,
  },
  { name: 'OpenAI', id: 'openai', base: '/openai/v1', rate: 24_000, clones: false },
];
const registry = new EngineRegistry(engines, 'unused');
const load = (kind: Kind, server: SpeechServer, scope: Scope, more: object = {}) =>
  registry.load(
    'synthesizer',
    kind.id,
    {
      baseUrl: server.url + kind.base,
      ...(['elevenlabs', 'openai'].includes(kind.id) && { keyFrom: 'LIVEDUB_TEST_KEY' }),
      ...kind.config,
      ...more,
    },
    scope,
  );

async function spoken(stage: Stage<'synthesizer'>, lines: readonly Line[], clock: Clock = new MonotonicClock()) {
  const input = async function* () {
    yield* lines;
  };
  const parts: Speech[] = [];
  for await (const part of stage.run(input(), { signal: new AbortController().signal, clock })) parts.push(part);
  return parts;
}
const pcmOf = (parts: readonly Speech[]) => parts.flatMap(({ chunk }) => [...chunk.pcm]);
const ramp = (text: string) => [...Float32Array.from(SpeechServer.samplesOf(text), (sample) => sample / 32_768)];

/** Lets a manual clock run, in step with the network, until something is settled. */
async function patiently<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let settled = false;
  const done = work.finally(() => (settled = true));
  done.catch(() => {});
  while (!settled) {
    await sleep(2);
    await clock.advance(ms(50));
  }
  return done;
}

const containing = (text: string) => expect.stringContaining(text) as string;
const matching = (pattern: RegExp) => expect.stringMatching(pattern) as string;

const voices = mkdtempSync(join(tmpdir(), 'livedub-voices-'));
const scopes: Scope[] = [];
const opened = (name: string) => {
  const scope = new Scope(name);
  scopes.push(scope);
  return scope;
};
beforeAll(() => {
  process.env['LIVEDUB_TEST_KEY'] = SpeechServer.KEY;
  process.env['LIVEDUB_VOICES'] = voices;
  for (const name of ['ann', 'bob']) {
    writeFileSync(
      join(voices, `${name}.wav`),
      encodeWav(REFERENCE.pcm.subarray(0, name === 'ann' ? 24_000 : 36_000), 24_000),
    );
    writeFileSync(join(voices, `${name}.txt`), `this is ${name}`);
  }
});
afterEach(async () => {
  for (const scope of scopes.splice(0).reverse()) await scope.close();
});
afterAll(() => {
  delete process.env['LIVEDUB_TEST_KEY'];
  delete process.env['LIVEDUB_VOICES'];
  rmSync(voices, { recursive: true });
});

describe.for(KINDS)('$name', (kind) => {
  const lasting = new Scope('conformance');
  afterAll(() => lasting.close());
  conforms(
    kind.name,
    async () => load(kind, await SpeechServer.open(lasting), lasting),
    () => [
      line(),
      line('', { n: 1 }),
      line('Good night.', { n: 2, speaker: 's2', reference: { ...REFERENCE, id: 'r2' } }),
    ],
  );

  let server: SpeechServer;
  let scope: Scope;
  let stage: Stage<'synthesizer'>;
  beforeEach(async () => {
    server = await SpeechServer.open(opened('server'));
    scope = opened('engine');
    stage = await load(kind, server, scope);
  });

  test('says a line sample by sample, at the rate it came in, with no end before its last piece', async () => {
    const parts = await spoken(stage, [line(TEXT, { reference: REFERENCE })]);
    expect(pcmOf(parts)).toEqual(ramp(TEXT));
    expect(new Set(parts.map(({ chunk }) => chunk.rate))).toEqual(new Set([kind.rate]));
    expect(parts.at(-1)?.chunk.start).toBe(samples(TEXT.length * 240, parts[0]!.chunk.rate));
  });

  test('passes on the first sound before the server has made the last', async () => {
    let finish = () => {};
    server.half = new Promise((resolve) => (finish = resolve));
    let heard = 0;
    const input = async function* () {
      yield line(TEXT, { reference: REFERENCE });
    };
    for await (const { chunk } of stage.run(input(), {
      signal: new AbortController().signal,
      clock: new MonotonicClock(),
    })) {
      heard += chunk.pcm.length;
      if (heard >= TEXT.length * 60) finish();
    }
    expect(heard).toBe(TEXT.length * 240);
  });

  test('refuses a language the model does not speak, in a sentence, without asking for it', async () => {
    const refused = spoken(stage, [line(TEXT, { language: 'tlh', reference: REFERENCE })]);
    await expect(refused).rejects.toMatchObject({
      kind: 'rejected',
      message: matching(/speak tlh; it speaks/),
    });
    expect(server.asked).toEqual([]);
  });

  test('a line that was cut off by an abort holds nothing up', async () => {
    server.mood = 'hang';
    const abort = new AbortController();
    const input = async function* () {
      yield line(TEXT, { reference: REFERENCE });
    };
    const run = stage.run(input(), { signal: abort.signal, clock: new MonotonicClock() });
    for await (const _ of run) abort.abort();
    server.mood = 'well';
    expect(pcmOf(await spoken(stage, [line()]))).toEqual(ramp(TEXT));
  });

  test.runIf(kind.marks)('says when each word is said', async () => {
    const parts = await spoken(stage, [line()]);
    const marks = parts.flatMap((part) => part.marks);
    expect(marks.map(({ text }) => text)).toEqual(WORDS);
    expect(marks.map(({ offset }) => offset)).toEqual(WORDS.map((word) => TEXT.indexOf(word) * 10_000));
  });

  test('counts what it used', async () => {
    const before = spendingReports().find(({ engine }) => engine === kind.id)!;
    await spoken(stage, [line()]);
    const after = spendingReports().find(({ engine }) => engine === kind.id)!;
    expect(after.characters - before.characters).toBe(TEXT.length);
    expect(after.seconds - before.seconds).toBeCloseTo((TEXT.length * 240) / kind.rate, 6);
    expect(after.requests).toBeGreaterThan(before.requests);
  });

  const EXPECTED: Record<Misbehaviour, FaultKind> = {
    slow: 'timeout',
    hang: 'timeout',
    '429': 'overloaded',
    '503': 'unavailable',
    cut: 'unavailable',
    garbage: 'rejected',
    'wrong type': 'rejected',
    empty: 'rejected',
    '401': 'broken',
    '422': 'rejected',
    endless: 'rejected',
    redirect: 'broken',
  };
  test.for(MISBEHAVIOURS)(
    'a server that is of no use (%s) is told apart in time, leaks nothing, and is forgiven',
    async (mood) => {
      const clock = new ManualClock();
      server.mood = mood;
      const fault = await patiently(clock, spoken(stage, [line(TEXT, { reference: REFERENCE })], clock)).catch(
        (thrown: unknown) => thrown,
      );
      expect(fault).toBeInstanceOf(Fault);
      expect((fault as Fault).kind, String(fault)).toBe(EXPECTED[mood]);
      // Three attempts of fifteen seconds and the pauses between them.
      expect(clock.now()).toBeLessThan(55_000_000);
      const everything = inspect(fault, { depth: 20, showHidden: true });
      expect(everything).not.toContain(SpeechServer.KEY);
      for (const word of WORDS.filter(({ length }) => length > 5))
        expect(everything.toLowerCase()).not.toContain(word.toLowerCase());

      server.mood = 'well';
      await clock.advance(ms(5_000));
      const again = await patiently(
        clock,
        spoken(stage, [line('And once more.', { n: 1, reference: REFERENCE })], clock),
      );
      expect(pcmOf(again)).toEqual(ramp('And once more.'));
    },
  );

  test('a server that asks for a moment gets it, and the line is said', async () => {
    const clock = new ManualClock();
    server.mood = '429';
    const speech = spoken(stage, [line()], clock);
    await sleep(50);
    server.mood = 'well';
    expect(pcmOf(await patiently(clock, speech))).toEqual(ramp(TEXT));
    expect(clock.now()).toBeGreaterThan(2_900_000);
  });

  test.runIf(kind.clones)(
    'speaks with the speaker’s own voice, uploaded once and deleted with the session',
    async () => {
      const own = line(TEXT, { reference: REFERENCE });
      const before = server.asked.length;
      await spoken(stage, [own, { ...own, utterance: 'u2' as UtteranceId }]);
      const uploads = server.asked.slice(before).filter(({ path }) => /voices|add/.test(path));
      const inline = kind.id === 'cosyvoice' || kind.id === 'f5-tts' || kind.name === 'Index-TTS2';
      expect(uploads).toHaveLength(inline ? 0 : 1);
      expect(server.voices.size).toBe(inline ? 0 : 1);
      // A better recording takes the place of the first.
      await spoken(stage, [line(TEXT, { n: 3, reference: { ...REFERENCE, id: 'r1b' } })]);
      expect(server.voices.size).toBe(inline ? 0 : 1);
      await scope.close();
      expect(server.voices.size).toBe(0);
    },
  );
});

describe('what is asked', () => {
  let server: SpeechServer;
  let scope: Scope;
  beforeEach(async () => {
    server = await SpeechServer.open(opened('server'));
    scope = opened('engine');
  });
  const kindOf = (name: string) => KINDS.find((kind) => kind.name === name)!;
  const asked = async (name: string, lines: readonly Line[], config: object = {}) => {
    const stage = await load(kindOf(name), server, scope, config);
    await spoken(stage, lines);
    return server.last;
  };
  const own = line(TEXT, { reference: REFERENCE });

  test('CosyVoice: with the words of the recording, without them, with a manner', async () => {
    expect(await asked('CosyVoice', [own])).toMatchObject({
      path: '/inference_zero_shot',
      fields: { tts_text: TEXT, prompt_text: REFERENCE.text, prompt_wav: { rate: 24_000 } },
    });
    expect(await asked('CosyVoice', [line(TEXT, { reference: { ...REFERENCE, text: '' } })])).toMatchObject({
      path: '/inference_cross_lingual',
    });
    expect(await asked('CosyVoice', [own], { instruction: 'calmly' })).toMatchObject({
      path: '/inference_instruct2',
      fields: { instruct_text: 'calmly<|endofprompt|>' },
    });
  });

  test('CosyVoice: a recording longer than it takes is cut, and its words are not claimed', async () => {
    const pcm = new Float32Array(24_000 * 40).fill(0.1);
    const last = await asked('CosyVoice', [line(TEXT, { reference: { ...REFERENCE, pcm } })]);
    expect(last.path).toBe('/inference_cross_lingual');
    const { pcm: sent } = last.fields['prompt_wav'] as { pcm: Float32Array };
    expect(sent.length / 24_000).toBeLessThanOrEqual(28);
    expect(sent.length / 24_000).toBeGreaterThan(22);
  });

  test('F5-TTS: recording and words, and a stock voice where the words are not known', async () => {
    expect((await asked('F5-TTS', [own])).fields).toEqual({
      reference_text: `${REFERENCE.text} `,
      target_text: TEXT,
      samples: 48_000,
    });
    const unknown = line(TEXT, { reference: { ...REFERENCE, text: '' } });
    expect((await asked('F5-TTS', [unknown])).fields).toMatchObject({
      reference_text: 'this is ann ',
      samples: 24_000,
    });
  });

  test('F5-TTS: a Triton that answers in JSON is understood', async () => {
    server.plain = true;
    const stage = await load(kindOf('F5-TTS'), server, scope);
    expect(pcmOf(await spoken(stage, [own]))).toEqual(ramp(TEXT));
  });

  test('Fish-Speech: a stream without the header it should have is understood', async () => {
    server.plain = true;
    const stage = await load(kindOf('Fish-Speech'), server, scope);
    expect(pcmOf(await spoken(stage, [own]))).toEqual(ramp(TEXT));
  });

  test('Fish-Speech: by id where the words are known, else with every line', async () => {
    const known = await asked('Fish-Speech', [own]);
    expect(known.fields).toMatchObject({
      text: TEXT,
      reference_id: matching(/^livedub-/),
      streaming: true,
    });
    const unknown = await asked('Fish-Speech', [line(TEXT, { reference: { ...REFERENCE, text: '' } })]);
    expect(unknown.fields).toMatchObject({ references: [{ text: '' }] });
    expect(unknown.fields['reference_id']).toBeUndefined();
  });

  test('Index-TTS2: the recording with the line, the language in the model’s word', async () => {
    const { fields } = await asked('Index-TTS2', [line(TEXT, { language: 'es-MX', reference: REFERENCE })]);
    expect(fields).toMatchObject({ model: 'IndexTeam/IndexTTS-2.5', input: TEXT, extra_params: { lang: 'es' } });
    expect(fields['ref_audio']).toMatch(/^data:audio\/wav;base64,/);
  });

  test('ElevenLabs: the language is told to models that take it', async () => {
    const told = await asked('ElevenLabs', [line(TEXT, { language: 'pt-BR' })]);
    expect(told.fields).toEqual({
      text: TEXT,
      model_id: 'eleven_flash_v2_5',
      language_code: 'pt',
      output_format: 'pcm_24000',
    });
    const untold = await asked('ElevenLabs', [line()], {
      model: 'eleven_multilingual_v2',
      stability: 0.4,
      rate: 16_000,
    });
    expect(untold.fields).toEqual({
      text: TEXT,
      model_id: 'eleven_multilingual_v2',
      voice_settings: { stability: 0.4 },
      output_format: 'pcm_16000',
    });
  });

  test('OpenAI: raw samples, by the voice that is the speaker’s for good', async () => {
    const { fields } = await asked('OpenAI', [line()], { instructions: 'like a newsreader' });
    expect(fields).toEqual({
      model: 'gpt-4o-mini-tts',
      input: TEXT,
      voice: 'onyx',
      response_format: 'pcm',
      instructions: 'like a newsreader',
    });
  });

  test.for(KINDS)('$name: speakers without a voice of their own have stock voices, theirs for good', async (kind) => {
    const stage = await load(kind, server, scope);
    const voiceOf = async (speaker: string, n: number) => {
      await spoken(stage, [line(TEXT, { n, speaker })]);
      const { path, fields } = server.last;
      const { tts_text: _t, input: _i, text: _x, seed: _s, ...rest } = fields;
      const wave = fields['prompt_wav'] as { pcm: Float32Array } | undefined;
      return JSON.stringify([path, wave ? wave.pcm.length : rest]);
    };
    const first = await voiceOf('s1', 0);
    const second = await voiceOf('s2', 1);
    expect(second).not.toBe(first);
    expect(await voiceOf('s1', 2)).toBe(first);
  });

  test('OpenAI: a voice of the register, its speed and its mood as a line asks for them', async () => {
    const cast: Line = {
      ...line(),
      casting: { register: 'female', place: 1 },
      delivery: { rate: 1.1, energy: 5, pitch: 0 },
    };
    const { fields } = await asked('OpenAI', [cast], { instructions: 'like a newsreader' });
    expect(fields).toMatchObject({
      voice: 'shimmer',
      speed: 1.1,
      instructions: matching(/^like a newsreader .*energy/),
    });
    const calm: Line = { ...cast, delivery: { rate: 9, energy: -5, pitch: 0 } };
    const { fields: old } = await asked('OpenAI', [calm], { model: 'tts-1' });
    expect(old['speed']).toBe(1.2);
    expect(old).not.toHaveProperty('instructions');
  });

  test('ElevenLabs: a voice of the register, its speed and its mood as a line asks for them', async () => {
    const cast: Line = {
      ...line(),
      casting: { register: 'male', place: 2 },
      delivery: { rate: 0.9, energy: 5, pitch: 0 },
    };
    const { path, fields } = await asked('ElevenLabs', [cast], { clone: false });
    expect(path).toContain('IKne3meq5aSn9XLyUdCD');
    expect(fields['voice_settings']).toEqual({
      speed: 0.9,
      stability: expect.closeTo(0.35, 5) as number,
      style: expect.closeTo(0.2, 5) as number,
    });
    const { fields: plain } = await asked('ElevenLabs', [line()], { clone: false });
    expect(plain).not.toHaveProperty('voice_settings');
  });

  test('what the face showed makes voices livelier that take a guide, and steadier', async () => {
    const [lively, still] = [0.95, 0.05].map((expression): Line => ({ ...line(), guide: { expression } })) as [
      Line,
      Line,
    ];
    const settings = async (each: Line) =>
      (await asked('ElevenLabs', [each], { clone: false })).fields['voice_settings'] as Record<string, number>;
    expect((await settings(lively))['stability']).toBeCloseTo(0.392, 5);
    expect((await settings(lively))['style']).toBeCloseTo(0.144, 5);
    expect((await settings(still))['stability']).toBeCloseTo(0.608, 5);
    expect(await settings(still)).not.toHaveProperty('style');
    expect((await asked('OpenAI', [lively])).fields['instructions']).toMatch(/more energy/);
    expect((await asked('OpenAI', [still])).fields['instructions']).toMatch(/calmly/);
    for (const { name, make } of KINDS.map((kind) => ({ name: kind.name, make: () => load(kind, server, scope) }))) {
      expect([name, (await make()).caps.guides]).toEqual([name, /ElevenLabs|OpenAI/.test(name) ? true : undefined]);
    }
  });

  test('stock voices are cast by how high they are', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'livedub-cast-'));
    try {
      process.env['LIVEDUB_VOICES'] = folder;
      for (const [name, hertz] of Object.entries({ alto: 210, bass: 95, tenor: 140, tot: 330 })) {
        const pcm = Float32Array.from({ length: 48_000 }, (_, i) => {
          const phase = (2 * Math.PI * hertz * i) / 24_000;
          return (Math.sin(phase) + Math.sin(2 * phase) / 2) / 3;
        });
        writeFileSync(join(folder, `${name}.wav`), encodeWav(pcm, 24_000));
      }
      const stock = castable(stockVoices());
      const named = (register: Register, place: number) =>
        referenceFor({ ...line(), casting: { register, place } }, stock).speaker;
      expect([named('male', 0), named('male', 1), named('male', 2)]).toEqual(['bass', 'tenor', 'bass']);
      expect([named('female', 0), named('child', 0)]).toEqual(['alto', 'tot']);
    } finally {
      process.env['LIVEDUB_VOICES'] = voices;
      rmSync(folder, { recursive: true });
    }
  });

  test.for(KINDS)('$name: sends nobody’s voice that did not come with the line', async (kind) => {
    const stage = await load(kind, server, scope);
    const before = server.asked.length;
    await spoken(stage, [line(TEXT), line('And again.', { n: 1, speaker: 's2' })]);
    const sent = inspect(
      server.asked.slice(before).map(({ path, fields }) => [path, fields]),
      { depth: 9, maxStringLength: Infinity, maxArrayLength: Infinity },
    );
    expect(sent).not.toContain(REFERENCE.text);
    expect(sent).not.toContain('/v1/voices/add');
    // What lies in the directory of stock voices, and nothing else.
    const lengths = [...sent.matchAll(/Float32Array\((\d+)\)/g)].map(([, length]) => Number(length));
    for (const length of lengths) expect([24_000, 36_000]).toContain(length);
  });

  test('without a voice of any kind, a line is refused with what to do about it', async () => {
    process.env['LIVEDUB_VOICES'] = join(voices, 'empty');
    try {
      const stage = await load(kindOf('CosyVoice'), server, scope);
      await expect(spoken(stage, [line()])).rejects.toMatchObject({
        kind: 'rejected',
        message: containing('LIVEDUB_VOICES'),
      });
    } finally {
      process.env['LIVEDUB_VOICES'] = voices;
    }
  });
});

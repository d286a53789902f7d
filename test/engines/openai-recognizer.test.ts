import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, later, ms, seconds } from '../../media/time.ts';
import { EngineRegistry } from '../../models/engine.ts';
import { openaiRecognizer } from '../../models/recognize/openai-recognizer.ts';
import { spendingReports } from '../../models/service/spending.ts';
import type { Hypothesis, SpeechChunk } from '../../pipeline/domain.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import { conforms } from '../conformance/stage.ts';
import { feed, segmentOf } from '../fakes/recordings.ts';
import { silence } from '../fakes/soundscapes.ts';
import { MOODS, type Mood, TranscriptionServer } from '../fakes/transcription-server.ts';

const registry = new EngineRegistry([openaiRecognizer], 'unused');
const TRANSPORTS = ['http', 'realtime'] as const;
type Transport = (typeof TRANSPORTS)[number];

let scope: Scope;
let server: TranscriptionServer;
beforeAll(() => {
  process.env['LIVEDUB_TEST_KEY'] = TranscriptionServer.KEY;
});
beforeEach(async () => {
  scope = new Scope('test');
  server = await TranscriptionServer.open(scope);
});
afterEach(() => scope.close());
afterAll(() => {
  delete process.env['LIVEDUB_TEST_KEY'];
});

const load = (transport: Transport, more: object = {}, to = server) =>
  registry.load(
    'recognizer',
    'openai',
    { baseUrl: `${to.url}/v1`, keyFrom: 'LIVEDUB_TEST_KEY', transport, ...more },
    scope,
  );
/** Something with a voice's pitch. */
const voice = (length: number) =>
  Float32Array.from({ length: length * 16_000 }, (_, n) =>
    [1, 2, 3].reduce((sum, k) => sum + (0.1 / k) * Math.sin((2 * Math.PI * 120 * k * n) / 16_000), 0),
  );
const text = ({ stable }: Hypothesis) => stable.map((word) => word.text).join(' ');

async function recognise(
  transport: Transport,
  chunks: readonly SpeechChunk[],
  more: object = {},
  clock: ManualClock | MonotonicClock = new MonotonicClock(),
) {
  const stage = await load(transport, more);
  const beliefs: Hypothesis[] = [];
  let fault: Fault | undefined;
  try {
    for await (const belief of stage.run(feed(chunks), { signal: new AbortController().signal, clock })) {
      beliefs.push(belief);
    }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    fault = thrown;
  }
  return { beliefs, finals: beliefs.filter(({ final }) => final), fault };
}
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

describe.for(TRANSPORTS)('over %s', (transport) => {
  let own: Scope;
  let steady: TranscriptionServer;
  beforeAll(async () => {
    own = new Scope('conformance');
    steady = await TranscriptionServer.open(own);
  });
  afterAll(() => own.close());
  conforms(
    `openai over ${transport}`,
    () =>
      registry.load(
        'recognizer',
        'openai',
        { baseUrl: `${steady.url}/v1`, keyFrom: 'LIVEDUB_TEST_KEY', transport, hop: 1 },
        own,
      ),
    () => [...segmentOf(voice(2.2), 0), ...segmentOf(voice(1.3), 1, at(3e6))],
  );

  test('a segment is written down, with signs, in order and inside it', async () => {
    const { finals } = await recognise(transport, segmentOf(voice(3), 4, at(seconds(7))));
    expect(finals.length).toBe(1);
    expect(text(finals[0]!)).toBe('Hello, there. Nobody minds the marmalade,');
    expect(finals[0]!.segment).toBe(4);
    const words = finals[0]!.stable;
    for (const [n, { start, end }] of words.entries()) {
      expect(start).toBeGreaterThanOrEqual(n > 0 ? words[n - 1]!.end : at(seconds(7)));
      expect(end).toBeLessThanOrEqual(at(seconds(10)));
    }
    expect(server.last.length).toBeCloseTo(3, 2);
  });

  test('the server is told words to expect and what was said before, and the language', async () => {
    const chunks = [...segmentOf(voice(1), 0), ...segmentOf(voice(1), 1, at(2e6))];
    await recognise(transport, chunks, { glossary: ['Kyiv', 'Zbroc'], language: 'pt-BR', model: 'm1' });
    const [first, second] = server.asked.map(({ fields }) => fields);
    expect(first).toMatchObject({ model: 'm1', language: 'pt', prompt: 'Kyiv, Zbroc' });
    expect(second).toMatchObject({ prompt: 'Kyiv, Zbroc. Hello, there.' });
  });

  test('a silent segment is not sent, and nothing is said about it', async () => {
    const { finals, fault } = await recognise(transport, segmentOf(silence(2), 0));
    expect(finals.map(text)).toEqual(['']);
    expect(fault).toBeUndefined();
    expect(server.asked).toEqual([]);
  });

  test('what is written about noise is not believed', async () => {
    server.script = 'Subtitles by the Amara.org community';
    const { beliefs } = await recognise(transport, segmentOf(voice(3), 0));
    expect(beliefs.every(({ stable, draft }) => stable.length === 0 && draft === '')).toBe(true);
  });

  test('seconds that were sent are counted', async () => {
    const seconds = () =>
      spendingReports().find(({ kind, engine }) => `${kind}:${engine}` === 'recognizer:openai')?.seconds ?? 0;
    const before = seconds();
    await recognise(transport, segmentOf(voice(2), 0));
    expect(seconds() - before).toBeCloseTo(2, 2);
  });

  const KINDS: Record<Mood, FaultKind> = {
    silent: 'timeout',
    '429': 'overloaded',
    '503': 'unavailable',
    '401': 'broken',
    '422': 'rejected',
    cut: 'unavailable',
    garbage: 'rejected',
    'wrong json': 'rejected',
    'wrong type': 'rejected',
  };
  test.for(MOODS.map((mood) => [mood, KINDS[mood]] as const))(
    'a server that is %s is a fault that says %s, and tells nobody the key or what was said',
    async ([mood, kind]) => {
      server.mood = mood;
      const clock = new ManualClock();
      const more = { retries: 0, glossary: ['Zbroc'] };
      const { finals, fault } = await patiently(clock, recognise(transport, segmentOf(voice(2), 3), more, clock));
      expect(fault?.kind).toBe(kind);
      expect(fault?.stage).toBe('recognizer');
      const told = inspect(fault, { depth: 9 });
      for (const secret of [TranscriptionServer.KEY, 'Zbroc', 'marmalade', 'Hello']) expect(told).not.toContain(secret);
      // The segment is over either way, unless it could not even be begun.
      for (const each of finals) expect(each).toMatchObject({ segment: 3, stable: [], draft: '' });
    },
  );

  test('is tried again when it was only once', async () => {
    server.mood = '503';
    const clock = new ManualClock();
    const work = recognise(transport, segmentOf(voice(2), 0), {}, clock);
    await sleep(50);
    server.mood = 'well';
    const { finals, fault } = await patiently(clock, work);
    expect(fault).toBeUndefined();
    expect(text(finals[0]!)).toBe('Hello, there. Nobody minds');
  });
});

describe('over http', () => {
  test('an unfinished segment is sent too, and words are settled that two answers agree on', async () => {
    const { beliefs } = await recognise('http', segmentOf(voice(4), 0), { hop: 1 });
    const drafts = beliefs.filter(({ final }) => !final);
    expect(drafts.map((belief) => `${text(belief)}|${belief.draft}`)).toEqual([
      '|Hello, there.',
      'Hello, there.|Nobody minds',
      'Hello, there. Nobody minds|the marmalade,',
    ]);
    expect(text(beliefs.at(-1)!)).toBe('Hello, there. Nobody minds the marmalade, or so');
    expect(server.asked.map(({ length }) => Math.round(length))).toEqual([1, 2, 3, 4]);
  });

  test('a draft that fails costs nothing but itself', async () => {
    server.mood = '422';
    const chunks = segmentOf(voice(2), 0);
    const input = async function* () {
      for (const [n, chunk] of chunks.entries()) {
        if (n === chunks.length - 1) server.mood = 'well';
        yield chunk;
      }
    };
    const stage = await load('http', { hop: 1 });
    const finals: Hypothesis[] = [];
    const run = { signal: new AbortController().signal, clock: new MonotonicClock() };
    for await (const belief of stage.run(input(), run)) if (belief.final) finals.push(belief);
    expect(finals.map(text)).toEqual(['Hello, there. Nobody minds']);
  });

  test.for([
    ['words within segments, as whisper.cpp has them', { nested: true }, 'verbose_json'],
    ['text alone', {}, 'json'],
  ] as const)('a server may answer with %s', async ([, how, format]) => {
    Object.assign(server, how);
    const { finals } = await recognise('http', segmentOf(voice(2), 0), { format });
    expect(text(finals[0]!)).toBe('Hello, there. Nobody minds');
    expect(finals[0]!.stable.at(-1)!.end).toBeLessThanOrEqual(later(at(0), seconds(2)));
    if (format === 'verbose_json') expect(server.last.fields['granularities']).toBe('word segment');
  });

  test('what the model itself holds for no speech is not said', async () => {
    server.sure = { avg_logprob: -0.9, no_speech_prob: 0.95 };
    const { finals } = await recognise('http', segmentOf(voice(2), 0));
    expect(finals.map(text)).toEqual(['']);
  });
});

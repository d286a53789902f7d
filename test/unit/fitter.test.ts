import fc from 'fast-check';
import { Subject } from 'rxjs';
import { expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { Mailbox } from '../../media/mailbox.ts';
import { type ClockTime, type Span, at, later, ms, samples, seconds } from '../../media/time.ts';
import type { Language, Line, SpeakerId, Speech, SpeechMark, UtteranceId } from '../../pipeline/domain.ts';
import {
  type Fitted,
  type FitterOptions,
  type SpokenLine,
  countWords,
  fitter,
  spoken,
  wholeLines,
} from '../../pipeline/fitter.ts';
import { Load } from '../../pipeline/load.ts';
import { Pauses } from '../../pipeline/pauses.ts';
import { phonemeTimes, voicePhonemes } from '../../pipeline/phoneme-times.ts';
import { nearestSample } from '../fakes/pipeline-stretcher.ts';

const line = (n: number, from: number, to: number, text = 'a b c d e f g h'): Line => ({
  utterance: `u0.${n}` as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: 'es' as Language,
  start: at(from * 1_000),
  end: at(to * 1_000),
  text,
});
const marksOf = (lengthMs: number, texts: readonly string[], leadMs = 0): SpeechMark[] =>
  texts.map((text, n) => ({ type: 'word', offset: (leadMs + (n * lengthMs) / texts.length) * 1_000, text }));
const voice = (of: Line, lengthMs: number): SpokenLine =>
  spoken(of, new Float32Array(lengthMs * 16).fill(0.5), 16_000, marksOf(lengthMs, of.text.split(' ')));
const turn = () => new Promise((r) => setImmediate(r));

/** A fitter at work: put lines in, find clips in `out`. */
function bench(options: Partial<FitterOptions> = {}) {
  const clock = new ManualClock();
  const pauses = new Pauses();
  const box = new Mailbox<SpokenLine>(16);
  const out: Fitted[] = [];
  const abort = new AbortController();
  const part = fitter({ stretcher: nearestSample, pauses, ...options });
  const done = (async () => {
    for await (const fitted of part.run(box, { clock, signal: abort.signal })) out.push(fitted);
  })();
  return { clock, pauses, box, out, abort, done };
}

test('a clip is at 48 kHz, as long as it says, and knows what was done to it', async () => {
  const { box, out } = bench();
  box.put(voice(line(0, 1_000, 3_000), 1_900));
  await turn();
  const { clip } = out[0]!;
  expect(clip).toMatchObject({ utterance: 'u0.0', language: 'es', start: 1_000_000, end: 2_900_000 });
  expect(clip!.pcm).toHaveLength(1_900 * 48);
  expect(clip!.end).toBe(later(clip!.start, samples(clip!.pcm.length, 48_000)));
  expect(clip!.fit).toMatchObject({
    slot: 2_000_000,
    natural: 1_900_000,
    speed: 1,
    borrowed: 0,
    shifted: 0,
    trimmedWords: 0,
    rung: 'natural',
  });
});

test('a line that fits does not wait; one that does not waits to know its pause', async () => {
  const { box, out, pauses } = bench();
  box.put(voice(line(0, 1_000, 3_000), 1_900));
  box.put(voice(line(1, 3_000, 5_000), 2_400));
  await turn();
  expect(out).toHaveLength(1);
  pauses.settle(at(5_200_000));
  await turn();
  expect(out).toHaveLength(1);
  pauses.settle(at(5_400_000));
  await turn();
  expect(out[1]!.clip).toMatchObject({ end: 5_400_000, fit: { rung: 'borrowed', borrowed: 400_000, speed: 1 } });
});

test('it waits until shortly before its deadline and takes what is known by then', async () => {
  const { box, out, pauses, clock } = bench({ deadline: (t) => (t + seconds(4)) as ClockTime, margin: ms(400) });
  box.put(voice(line(0, 0, 2_000), 2_400));
  await turn();
  pauses.settle(at(2_100_000));
  await clock.advance(ms(3_500));
  expect(out).toHaveLength(0);
  await clock.advance(ms(200));
  await turn();
  expect(out[0]!.clip!.fit.rung).toBe('stretched');
  expect(out[0]!.clip!.fit.speed).toBeCloseTo(2_400 / 2_100, 6);
  expect(out[0]!.clip!.fit.borrowed / 1_000).toBeCloseTo(100, 0);
});

test('while it waits it is no load: the programme must go on for the pause to become known', async () => {
  const load = new Load();
  const gauge = load.gauge('fit');
  const { box, pauses } = bench({ gauge });
  gauge.set(3, true);
  box.put(voice(line(0, 0, 2_000), 2_400));
  await turn();
  expect(load.pending).toBe(0);
  pauses.end();
  await turn();
  expect(load.pending).toBe(4);
});

test('what does not fit is cut at a word, faded out, and counted', async () => {
  const { box, out, pauses } = bench();
  pauses.end();
  box.put(voice(line(0, 0, 2_000), 4_000));
  await turn();
  const { clip } = out[0]!;
  expect(clip!.fit).toMatchObject({ rung: 'trimmed', trimmedWords: 3 });
  expect(clip!.fit.speed).toBeLessThanOrEqual(1.2);
  const { pcm } = clip!;
  expect(pcm.at(-1)).toBe(0);
  expect(pcm[pcm.length - 360]!).toBeCloseTo(0.25, 1);
  expect(pcm[pcm.length - 1_200]!).toBeCloseTo(0.5, 1);
});

test('a line with no room is passed on without a clip, and the next is none the worse', async () => {
  const { box, out, pauses } = bench();
  pauses.end();
  box.put(voice(line(0, 0, 500, 'uno'), 4_000));
  box.put(voice(line(1, 500, 2_500), 1_900));
  await turn();
  expect(out.map(({ clip }) => clip?.start)).toEqual([undefined, 500_000]);
});

test('an abort ends the wait', async () => {
  const { box, abort, done, out } = bench();
  box.put(voice(line(0, 0, 2_000), 2_400));
  await turn();
  abort.abort();
  box.end();
  await done.catch(() => {});
  expect(out.length).toBeLessThanOrEqual(1);
});

test('silence around a voice is trimmed and the marks move along', () => {
  const pcm = new Float32Array(16_000);
  pcm.fill(0.5, 4_800, 12_800);
  const { pcm: kept, natural } = spoken(line(0, 0, 1_000, 'uno dos'), pcm, 16_000, [
    { type: 'word', offset: 300_000, text: 'uno' },
    { type: 'phoneme', offset: 310_000, text: 'u' },
    { type: 'word', offset: 550_000, text: 'dos' },
  ]);
  expect(kept).toHaveLength(8_000 + 2 * 320);
  expect(natural).toEqual({ length: 540_000, words: [20_000, 270_000], count: 2 });
});

test('a voice that says nothing has no length', () => {
  expect(spoken(line(0, 0, 1_000), new Float32Array(1_600), 16_000, []).natural.length).toBe(0);
});

test('a line is complete with its last chunk; one that is interrupted is never complete, or starts again', () => {
  const speech$ = new Subject<Speech>();
  const out: SpokenLine[] = [];
  speech$.pipe(wholeLines()).subscribe((whole) => out.push(whole));
  const [first, second] = [line(0, 0, 1_000), line(1, 1_000, 2_000)];
  const part = (of: Line, startMs: number, last: boolean): Speech => ({
    // A copy, as it comes from another thread.
    line: { ...of },
    chunk: { start: at(startMs * 1_000), rate: 16_000, pcm: new Float32Array(1_600).fill(0.5) },
    marks: [],
    last,
  });
  speech$.next(part(first, 0, false));
  speech$.next(part(second, 0, false));
  speech$.next(part(second, 0, false));
  speech$.next(part(second, 100, true));
  expect(out.map(({ line: of, pcm }) => [of.utterance, pcm.length])).toEqual([['u0.1', 3_200]]);
});

test('words are counted as the language has them', () => {
  expect(countWords('Hola, ¿qué tal?', 'es')).toBe(3);
  expect(countWords('今日は天気がいい', 'ja')).toBeGreaterThan(2);
  expect(countWords('…', 'es')).toBe(1);
});

/** Marks of sounds, each at a multiple of `everyMs`. */
const sounds = (everyMs: number, texts: readonly string[]): SpeechMark[] =>
  texts.map((text, n) => ({ type: 'phoneme', offset: n * everyMs * 1_000, text }));
/** A voice of `lengthMs` that sounds but for the silences, `[from, to]` each in ms. */
const speaking = (lengthMs: number, silences: readonly (readonly [number, number])[] = []) => {
  const pcm = new Float32Array(lengthMs * 16).fill(0.5);
  for (const [from, to] of silences) pcm.fill(0, from * 16, to * 16);
  return pcm;
};

test('a sound lasts until the next or until the voice is silent; marks that name no sound are left out', () => {
  const marks = sounds(200, ['o', 'l', '_', 'a', 'p', 'ˈ']);
  const { phonemes } = spoken(line(0, 0, 1_000, 'ola ap'), speaking(1_200, [[300, 600], [820, 870]]), 16_000, marks); // prettier-ignore
  expect(phonemes).toEqual([
    { text: 'o', from: 0, to: 200_000 },
    { text: 'l', from: 200_000, to: 300_000 },
    { text: 'a', from: 600_000, to: 800_000 },
    { text: 'p', from: 800_000, to: 1_000_000 },
  ]);
});

test('a clip knows when its sounds are heard, also when it is played faster; what is cut off is not among them', async () => {
  const { box, out, pauses } = bench();
  pauses.end();
  const of = line(0, 1_000, 3_000);
  const marks = (lengthMs: number) => [
    ...marksOf(lengthMs, of.text.split(' ')),
    ...sounds(lengthMs / 16, [...'abcdefghijklmnop']),
  ];
  for (const [n, length] of [2_100, 4_000].entries()) {
    box.put(spoken({ ...of, ...line(n, 1_000 + n * 9_000, 3_000 + n * 9_000) }, speaking(length), 16_000, marks(length).sort((a, b) => a.offset - b.offset))); // prettier-ignore
  }
  await turn();
  const [faster, cut] = out.map(({ clip }) => clip!);
  const { start, fit, phonemes } = faster!;
  expect(fit.speed).toBeGreaterThan(1);
  expect(phonemes!.map(({ text }) => text).join('')).toBe('abcdefghijklmnop');
  for (const [n, phoneme] of phonemes!.entries()) {
    expect(phoneme.start - start).toBeCloseTo((n * 131_250) / fit.speed, -1);
  }
  expect(cut!.fit.rung).toBe('trimmed');
  expect(cut!.phonemes!.length).toBe(16 - 2 * cut!.fit.trimmedWords);
  expect(cut!.phonemes!.at(-1)!.end).toBeLessThanOrEqual(cut!.end);
});

test('a voice that does not tell its sounds has none', async () => {
  const { box, out } = bench();
  box.put(voice(line(0, 1_000, 3_000), 1_900));
  await turn();
  expect(out[0]!.clip).not.toHaveProperty('phonemes');
});

test('sounds stay in order and within their clip, however a voice is parted and stretched', () => {
  const part = fc.record({ gap: fc.nat(300_000), length: fc.integer({ min: 1_000, max: 900_000 }), skip: fc.nat(50_000), speed: fc.double({ min: 0.9, max: 1.2, noNaN: true }) }); // prettier-ignore
  const sound = fc.record({ after: fc.nat(300_000), text: fc.constantFrom('a', 'p', '_', '', 'tʃ') });
  const silence = fc.tuple(fc.nat(2_000), fc.nat(400));
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.array(sound, { maxLength: 40 }),
      fc.array(silence, { maxLength: 6 }),
      (lengths, told, quiet) => {
        // prettier-ignore
        let [offset, from, clock] = [0, 0, 5_000_000];
        const marks = told.map(({ after, text }): SpeechMark => ({ type: 'phoneme', offset: (offset += after), text }));
        const parts = lengths.map(({ gap, length, skip, speed }) => {
          const planned = {
            from: (from + skip) as Span,
            to: (from + skip + length) as Span,
            at: at(clock + gap),
            speed,
          };
          from = planned.to;
          clock = planned.at + Math.ceil(length / speed);
          return planned;
        });
        const pcm = speaking(
          2_000,
          quiet.map(([begin, length]) => [begin, begin + length] as const),
        );
        const heard = phonemeTimes(voicePhonemes(marks, pcm, 16_000), parts, at(clock - 40));
        for (const [n, { start, end, text }] of heard.entries()) {
          expect(end).toBeGreaterThan(start);
          expect(start).toBeGreaterThanOrEqual(heard[n - 1]?.end ?? parts[0]!.at);
          expect(end).toBeLessThanOrEqual(clock - 40);
          expect(['a', 'p', 'tʃ']).toContain(text);
        }
      },
    ),
  );
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import { SourceCaptions, translated, voiced } from '../../pipeline/captions.ts';
import type { Clip, Cue, Hypothesis, Language, Line, SpeakerId, UtteranceId, Word } from '../../pipeline/domain.ts';
import { Utterances } from '../../pipeline/utterances.ts';
import { escaped, rows, timestamp, webvtt } from '../../pipeline/webvtt.ts';

const en = 'en' as Language;
const word = (text: string, from: number): Word => ({ text, start: at(from * 1_000), end: at((from + 200) * 1_000) });
const said = (stable: Word[], draft: string, final = false, segment = 0): Hypothesis => ({
  segment, stable, draft, final, start: at(0), end: at(5_000_000),
}); // prettier-ignore
/** What is on show after each hypothesis: the last cue of each id. */
function show(hypotheses: readonly Hypothesis[]) {
  const utterances = new Utterances({ language: en });
  const captions = new SourceCaptions();
  const cues: Cue[] = hypotheses.flatMap((each) => {
    const closed = utterances.push(each);
    return captions.push(each, closed, utterances.unfinished);
  });
  return { cues, last: new Map(cues.map((cue) => [cue.id, cue])) };
}

test('a draft grows, and is replaced under its id by what was said', () => {
  const { cues } = show([
    said([], 'hell'),
    said([word('hello', 0)], 'word'),
    said([word('hello', 0), word('world', 250)], '', true),
  ]);
  expect(cues.map(({ id, text, draft }) => [id, text, draft])).toEqual([
    ['u0.0', 'hell', true],
    ['u0.0', 'hello word', true],
    ['u0.0', 'hello world', false],
  ]);
});

test('the draft of what follows has the next id', () => {
  const { cues } = show([said([word('hello', 0), word('you', 800)], 'the')]);
  expect(cues.map(({ id, text, draft }) => [id, text, draft])).toEqual([
    ['u0.0', 'hello', false],
    ['u0.1', 'you the', true],
  ]);
});

test('a draft that comes to nothing is taken back', () => {
  const { last } = show([said([], 'hm'), said([], '', true)]);
  expect([...last.values()].map(({ text }) => text)).toEqual(['']);
});

test('what does not change is not said again', () => {
  expect(show([said([word('hello', 0)], ''), said([word('hello', 0)], '')]).cues).toHaveLength(1);
});

const line: Line = {
  utterance: 'u0.0' as UtteranceId, speaker: 's1' as SpeakerId, language: 'es' as Language,
  start: at(1_000_000), end: at(2_000_000), text: 'hola',
}; // prettier-ignore
test('a translated caption stays for as long as its voice, and at least as long as its source', () => {
  const cue = translated(line);
  expect(cue).toMatchObject({ id: 'u0.0', end: 2_000_000, draft: true });
  expect(voiced(cue, { end: at(2_700_000) } as Clip)).toMatchObject({ end: 2_700_000, draft: false });
  expect(voiced(cue, { end: at(1_700_000) } as Clip)).toMatchObject({ end: 2_000_000, draft: false });
  expect(voiced(cue)).toMatchObject({ end: 2_000_000, draft: false });
});

const cue = (id: string, from: number, to: number, text: string, draft = false): Cue => ({
  id, language: en, speaker: 's1' as SpeakerId, start: at(from * 1_000), end: at(to * 1_000), text, draft,
}); // prettier-ignore

test('a WebVTT file has each caption once, in order, without drafts', () => {
  const text = webvtt([
    cue('b', 2_000, 3_500, 'old'),
    cue('a', 500, 1_500, 'one'),
    cue('c', 9_000, 9_500, 'later', true),
    cue('b', 2_000, 3_500, 'two'),
  ]);
  expect(text).toBe(
    [
      'WEBVTT',
      '',
      'a',
      '00:00:00.500 --> 00:00:01.500 line:-2 position:50% size:80% align:center',
      '<v s1>one',
      '',
      'b',
      '00:00:02.000 --> 00:00:03.500 line:-2 position:50% size:80% align:center',
      '<v s1>two',
      '',
    ].join('\n'),
  );
});

test('a caption is shown long enough to be read, and never before the file begins', () => {
  const text = webvtt([cue('a', 500, 600, 'one')], at(1_000_000));
  expect(text).toContain('00:00:00.000 --> 00:00:00.700 ');
});

test.for([
  [0, '00:00:00.000'],
  [3_723_004_000, '01:02:03.004'],
  [360_000_000_000, '100:00:00.000'],
  [999_600, '00:00:01.000'],
] as const)('%i µs is %s', ([micros, expected]) => {
  expect(timestamp(micros)).toBe(expected);
});

test('a long caption is broken in two where it is most even', () => {
  expect(rows('short enough')).toEqual(['short enough']);
  expect(rows('the quick brown fox jumps over the lazy dog and runs away')).toEqual([
    'the quick brown fox jumps over',
    'the lazy dog and runs away',
  ]);
  expect(rows('x'.repeat(60))).toEqual(['x'.repeat(60)]);
});

test('whatever is said cannot end a cue, begin a tag or an entity', () => {
  expect(escaped('a <b> & c --> d')).toBe('a &lt;b&gt; &amp; c --&gt; d');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, id) => {
      const file = webvtt([cue(id, 0, 1_000, `x${text}`), cue('zz', 5_000, 6_000, 'end')]);
      const blocks = file.split('\n\n').slice(1);
      expect(blocks).toHaveLength(2);
      const [name, time, ...body] = blocks[0]!.split('\n');
      expect(name).not.toContain('-->');
      expect(time).toMatch(/^\d\d:\d\d:\d\d\.\d{3} --> /);
      expect(body.length).toBeLessThanOrEqual(2);
      expect(body.join('\n').replace(/^<v s1>/, '')).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
    }),
  );
});

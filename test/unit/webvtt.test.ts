import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SPEAKER_COLOURS, colourOf, speakerName } from '../../gateway/protocol.ts';
import { at, seconds } from '../../media/time.ts';
import type { Cue, Language, SpeakerId } from '../../pipeline/domain.ts';
import { LiveVtt } from '../../pipeline/live-vtt.ts';
import { srt } from '../../pipeline/srt.ts';
import { type Look, escaped, timestamp, webvtt } from '../../pipeline/webvtt.ts';
import { parseVtt } from '../fakes/webvtt-parser.ts';

const en = 'en' as Language;
const LOOK: Look = { colours: SPEAKER_COLOURS, colourOf, nameOf: speakerName };
const cue = (id: string, from: number, to: number, text: string, part: Partial<Cue> = {}): Cue => ({
  id, language: en, speaker: 's1' as SpeakerId, start: at(from * 1_000), end: at(to * 1_000),
  voiceEnd: at(to * 1_000), text, lines: [text], draft: false, ...part,
}); // prettier-ignore
const s2 = { speaker: 's2' as SpeakerId };

test('a WebVTT file has each caption once, in order, without drafts, each speaker with a name and a colour', () => {
  const text = webvtt(
    [
      cue('b', 2_000, 3_500, 'old'),
      cue('a', 500, 1_500, 'one'),
      cue('c', 9_000, 9_500, 'later', { draft: true }),
      cue('d', 9_000, 9_500, 'gone'),
      cue('d', 9_000, 9_500, ''),
      cue('b', 2_000, 3_500, 'two rows', { ...s2, lines: ['two', 'rows'] }),
    ],
    LOOK,
  );
  expect(text).toBe(
    [
      'WEBVTT',
      '',
      'STYLE',
      '::cue(v[voice="Speaker 1"]) { color: #ffd866; }',
      '::cue(v[voice="Speaker 2"]) { color: #7fdbff; }',
      '',
      'a',
      '00:00:00.500 --> 00:00:01.500 position:50% size:90% align:center',
      '<v Speaker 1>one',
      '',
      'b',
      '00:00:02.000 --> 00:00:03.500 position:50% size:90% align:center',
      '<v Speaker 2>two',
      'rows',
      '',
    ].join('\n'),
  );
});

test('times count from the programme’s beginning: what was over by then is left out', () => {
  const file = webvtt([cue('a', 500, 900, 'over'), cue('b', 950, 1_600, 'half')], LOOK, at(1_000_000));
  expect(parseVtt(file).cues).toMatchObject([{ id: 'b', start: 0, end: 600 }]);
});

test('a caption that has to keep clear of a face below is at the top', () => {
  const file = webvtt([cue('a', 0, 900, 'x', { place: 'top' })], LOOK);
  expect(parseVtt(file).cues[0]?.settings).toEqual({ line: '0', position: '50%', size: '90%', align: 'center' });
});

test('what was made without lines is broken all the same', () => {
  const { lines: _, voiceEnd: __, ...bare } = cue('a', 0, 5_000, 'the quick brown fox jumps over the lazy dog and runs away'); // prettier-ignore
  expect(parseVtt(webvtt([bare], LOOK)).cues[0]?.lines).toEqual(['the quick brown fox jumps', 'over the lazy dog and runs away']); // prettier-ignore
});

test.for([
  [0, '00:00:00.000'],
  [3_723_004_000, '01:02:03.004'],
  [360_000_000_000, '100:00:00.000'],
  [999_600, '00:00:01.000'],
] as const)('%i µs is %s', ([micros, expected]) => {
  expect(timestamp(micros)).toBe(expected);
});

const anyCue = fc.record({
  id: fc.oneof(fc.string(), fc.constantFrom('a', '-->', 'STYLE', 'NOTE')),
  speaker: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('s1', 's2', '"]){}', '-->', '*/ }', '\\', '&')),
  from: fc.integer({ min: -5_000, max: 60_000 }),
  length: fc.nat(9_000),
  voice: fc.nat(9_000),
  lines: fc.array(fc.string({ unit: 'grapheme' }).map((text) => `x${text.replaceAll(/\s+/gu, ' ').trim()}`), { minLength: 1, maxLength: 2 }),
}); // prettier-ignore
const made = (all: readonly { id: string; speaker: string; from: number; length: number; voice: number; lines: string[] }[]) =>
  all.map(({ id, speaker, from, length, voice, lines }, n): Cue =>
    cue(`${n}${id}`, from, from + length, lines.join(' '), { speaker: speaker as SpeakerId, voiceEnd: at((from + Math.min(length, voice)) * 1e3), lines }),
  ); // prettier-ignore

test('whatever is said and by whomever, the file is as its authors must write it, and says it', () => {
  expect(escaped('a <b> & c --> d')).toBe('a &lt;b&gt; &amp; c --&gt; d');
  fc.assert(
    fc.property(fc.array(anyCue, { maxLength: 12 }), (all) => {
      const cues = made(all);
      const { cues: parsed, styles } = parseVtt(webvtt(cues, LOOK));
      const within = cues.filter(({ start, end }) => start >= 0 && end > start).length;
      expect(parsed.length).toBeGreaterThanOrEqual(within);
      for (const { id, lines, voice } of parsed) {
        const own = cues.find((one) => one.id.replaceAll(/\s+|-->/gu, '_') === id)!;
        expect(lines).toEqual(own.lines.map((line) => line.replaceAll('\u0000', '\uFFFD')));
        expect(styles.get(voice.trim())).toMatch(/^#[0-9a-f]{6}$/);
      }
    }),
  );
});

describe('SubRip', () => {
  test('has the same captions with numbers, and colours where several people speak', () => {
    expect(srt([cue('b', 2_000, 3_500, 'two rows', { lines: ['two', 'rows'] }), cue('a', 500, 1_500, 'one')], LOOK)).toBe(
      '1\n00:00:00,500 --> 00:00:01,500\none\n\n2\n00:00:02,000 --> 00:00:03,500\ntwo\nrows\n',
    ); // prettier-ignore
    expect(srt([cue('a', 0, 900, 'one'), cue('b', 2_000, 3_500, 'two', s2)], LOOK)).toContain('<font color="#7fdbff">two</font>'); // prettier-ignore
  });

  test('nothing that is said becomes markup, times or a caption of its own', () => {
    fc.assert(
      fc.property(fc.array(anyCue, { maxLength: 8 }), (all) => {
        const blocks = srt(made(all)).split('\n\n').filter(Boolean);
        for (const [n, block] of blocks.entries()) {
          const [number, times, ...lines] = block.replace(/\n$/, '').split('\n');
          expect(number).toBe(String(n + 1));
          expect(times).toMatch(/^\d{2,}:\d\d:\d\d,\d{3} --> \d{2,}:\d\d:\d\d,\d{3}$/);
          expect(lines.length).toBeGreaterThan(0);
          expect(lines.join('')).not.toMatch(/-->|<[^\u2060\s]/u);
        }
      }),
    );
  });
});

describe('live', () => {
  const opened = () => new LiveVtt(LOOK, { patience: seconds(2), most: 16 });
  const S = 1e6;

  test('a caption comes once it is final and it is known what follows, or after two seconds', () => {
    const live = opened();
    live.push(cue('a', 0, 2_000, 'one', { draft: true }), 0);
    expect(live.take(10 * S)).toBe('');
    live.push(cue('a', 0, 2_000, 'one'), 10 * S);
    expect(live.take(11.9 * S)).toBe('');
    expect(live.take(12 * S)).toContain('<v Speaker 1>one');
    live.push(cue('b', 3_000, 6_000, 'two'), 12 * S);
    live.push(cue('c', 5_000, 5_833, 'three', { draft: true }), 12.1 * S);
    expect(live.take(12.1 * S)).toContain('00:00:03.000 --> 00:00:05.000');
    expect(live.take(99 * S)).toBe('');
    expect(live.end()).toBe('');
  });

  test('a draft that never becomes anything does not hold up the rest for long', () => {
    const live = opened();
    live.push(cue('a', 0, 2_000, 'one', { draft: true }), 0);
    live.push(cue('b', 3_000, 4_000, 'two'), 1 * S);
    expect(live.take(2.9 * S)).toBe('');
    expect(live.take(3 * S)).toContain('two');
    // It comes late and starts no earlier than what is above it.
    live.push(cue('a', 0, 2_000, 'one'), 4 * S);
    expect(parseVtt(`WEBVTT\n${live.end()}`).cues).toMatchObject([{ start: 3_000 }]);
  });

  test('whatever comes in whatever order, the file is valid at every moment, each final caption is in it once, and one voice’s do not overlap much', () => {
    const event = fc.record({ cue: anyCue, draft: fc.boolean(), index: fc.nat(11), wait: fc.nat(3_000) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const live = opened();
        let text = live.header(['s1', 's2']);
        let now = 0;
        const finals = new Set<string>();
        for (const { cue: one, draft, index, wait } of events) {
          const [next] = made([one]);
          if (finals.has(`${index}`)) continue;
          if (!draft) finals.add(`${index}`);
          now += wait * 1_000;
          live.push({ ...next!, id: `${index}`, draft }, now);
          text += live.take(now);
          parseVtt(text);
        }
        text += live.end();
        const ids = parseVtt(text).cues.map(({ id }) => id);
        expect(ids.toSorted()).toEqual([...finals].toSorted());
        expect(live.lost).toBe(0);
      }),
    );
  });

  test('of too many that wait the oldest is lost, and counted', () => {
    const live = opened();
    for (let n = 0; n < 20; n += 1) live.push(cue(`${n}`, n * 1_000, n * 1_000 + 900, 'x', { draft: true }), 0);
    expect(live.lost).toBe(4);
  });

  test('captions of one speaker that follow quickly do not lie over each other', () => {
    const live = opened();
    live.push(cue('a', 0, 3_000, 'one', { voiceEnd: at(2e6) }), 0);
    let text = live.take(2 * S);
    live.push(cue('b', 2_200, 5_000, 'two'), 2 * S);
    text += live.end();
    expect(parseVtt(`WEBVTT\n${text}`).cues.map(({ start, end }) => [start, end])).toEqual([
      [0, 3_000],
      [3_000, 5_000],
    ]);
  });
});

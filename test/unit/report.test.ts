import { describe, expect, test } from 'vitest';
import { Tape } from '../../gateway/recorder.ts';
import { type Report, Witness, reportText, spread } from '../../gateway/report.ts';
import type { LineRecord } from '../../gateway/session/ipc.ts';
import { type ClockTime, at, seconds } from '../../media/time.ts';

const line = (n: number, extra: Partial<LineRecord> = {}): LineRecord => ({
  utterance: `u${n}`,
  language: 'es',
  speaker: 'speaker 1',
  source: `Sentence number ${n}.`,
  text: `Frase número ${n}.`,
  start: n * 5_000_000,
  end: n * 5_000_000 + 3_000_000,
  dub: { start: n * 5_000_000 + 250_000, end: n * 5_000_000 + 3_400_000 },
  outcome: 'dubbed',
  speed: 1 + n / 100,
  rung: 'natural',
  trimmedWords: 0,
  fit: null,
  after: { recognised: 300_000, translated: 320_000, synthesised: 400_000 + n * 10_000, placed: 410_000 },
  slack: 1_500_000,
  ...extra,
});
const facts = {
  programme: 'talk.mp4',
  from: 'en',
  to: ['es'],
  delay: 5,
  underDub: 0.1,
  loudness: null,
  recorded: { file: 'talk.es.mp4', seconds: 40, pictures: 1_000, packetsLost: 2 },
  span: { start: at(5_000_000), end: at(45_000_000) },
} as const;
const sum = (lines: readonly LineRecord[], witness = new Witness()) => witness.sum({ ...facts, lines });

describe('a spread', () => {
  test('of nothing is nothing', () => {
    expect(spread([])).toBeNull();
  });
  test.for([
    [[7], { count: 1, p50: 7, p95: 7, min: 7, max: 7 }],
    [[3, 1, 2], { count: 3, p50: 2, p95: 3, min: 1, max: 3 }],
    [[4, 3, 2, 1], { count: 4, p50: 2, p95: 4, min: 1, max: 4 }],
    [[-1.23456, 10], { count: 2, p50: -1.235, p95: 10, min: -1.235, max: 10 }],
  ] as const)('of %j is told by nearest rank, to a thousandth', ([values, expected]) => {
    expect(spread(values)).toEqual(expected);
  });
  test('of a hundred leaves out the worst five at p95', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(spread(values)).toEqual({ count: 100, p50: 50, p95: 95, min: 1, max: 100 });
    expect(values[0]).toBe(100);
  });
});

describe('a report', () => {
  test('counts the lines of the recorded stretch by what became of them', () => {
    const { lines, transcript } = sum([
      line(0), // before it
      line(1),
      line(2, { outcome: 'trimmed', trimmedWords: 2, rung: 'trimmed' }),
      line(3, { outcome: 'late', dub: null, slack: -200_000 }),
      line(4, { outcome: 'expired', dub: null, slack: null }),
      line(5, { outcome: 'refused', dub: null, slack: null }),
      line(6, { rung: 'stretched' }),
      line(9), // after it
    ]);
    expect(lines).toMatchObject({ dubbed: 3, trimmed: 1, late: 1, captionOnly: 2 });
    expect(lines.rungs).toEqual({ natural: 1, trimmed: 1, stretched: 1 });
    expect(lines.rungShares).toEqual({ natural: 0.333, trimmed: 0.333, stretched: 0.333 });
    expect(lines.withinSpeed).toBe(0.667);
    expect(transcript.map(({ utterance }) => utterance)).toEqual(['u1', 'u2', 'u3', 'u4', 'u5', 'u6']);
  });

  test('tells shift, speed and times in seconds, the span from ear to voice with the delay', () => {
    const report = sum([line(1), line(2), line(3, { dub: null, outcome: 'late', slack: -250_000 })]);
    expect(report.lines.startShift).toMatchObject({ count: 2, p50: 0.25, max: 0.25 });
    expect(report.lines.startError).toMatchObject({ count: 2, p50: 0.25, p95: 0.25 });
    expect(report.lines.speed).toMatchObject({ count: 2, min: 1.01, max: 1.02 });
    expect(report.earVoiceSpan).toMatchObject({ count: 2, p50: 5.25 });
    expect(report.after.recognised).toMatchObject({ count: 3, p50: 0.3 });
    expect(report.after.synthesised).toMatchObject({ min: 0.41, max: 0.43 });
    expect(report.slack).toMatchObject({ count: 3, min: -0.25, max: 1.5 });
  });

  test('a step that a line never came to is not counted', () => {
    const stuck = line(1, { after: { recognised: 300_000, translated: null, synthesised: null, placed: null } });
    expect(sum([stuck]).after).toMatchObject({ recognised: { count: 1 }, translated: null, placed: null });
  });

  test('how far apart picture and dub come is their way against their own time stamps', () => {
    const witness = new Witness();
    for (let i = 0; i < 100; i += 1) {
      const media = at(i * 20_000);
      const arrived = (late: number) => (7_000_000 + i * 20_000 + late) as ClockTime;
      witness.received({ track: 'dub:es', media, arrived: arrived(i % 10 === 0 ? 30_000 : 1_000) });
      if (i % 2 === 0) witness.received({ track: 'video', media, arrived: arrived(13_500) });
    }
    expect(sum([], witness).avOffsetMs).toBe(12.5);
    witness.close();
  });

  test('says that nothing was measured where nothing was', () => {
    const report = sum([]);
    expect(report).toMatchObject({
      lines: {
        dubbed: 0,
        startShift: null,
        startError: null,
        speed: null,
        rungs: {},
        rungShares: {},
        withinSpeed: null,
      },
      listening: { scheduled: 0, heard: 0, offsetMs: null },
      earVoiceSpan: null,
      avOffsetMs: null,
      slack: null,
    });
    expect(reportText(report)).toContain('not measured');
  });

  test('dubs that nobody listened to are not said to be heard', () => {
    expect(sum([line(2)]).listening).toEqual({ scheduled: 0, heard: 0, offsetMs: null });
  });
});

test('a dub that starts early is as far off as one that starts late', () => {
  const early = line(1, { dub: { start: 4_700_000, end: 8_000_000 } });
  const { startShift, startError } = sum([early, line(2)]).lines;
  expect(startShift).toMatchObject({ min: -0.3, max: 0.25 });
  expect(startError).toMatchObject({ min: 0.25, p50: 0.25, p95: 0.3 });
});

describe('a report for people', () => {
  const long = 'a sentence that goes on and on, as sentences in parliaments do, and does not end before it must ';
  const report: Report = {
    ...sum([
      line(1),
      line(2, { source: long, text: long.toUpperCase(), language: 'pt-BR', outcome: 'trimmed' }),
      line(3, { dub: null, speed: null, outcome: 'expired', text: '' }),
    ]),
    listening: { scheduled: 4, heard: 3, offsetMs: spread([12, 31, 55]) },
    avOffsetMs: -3.25,
  };

  test.for([80, 100, 110, 120, 200])('has a row a line, none wider than %i columns', (width) => {
    const rows = reportText(report, width).split('\n');
    const table = rows.slice(0, rows.indexOf(''));
    expect(table).toHaveLength(4);
    for (const row of table) expect([...row].length).toBeLessThanOrEqual(width);
    expect(table[1]).toMatch(/^00:05\.0 es +dubbed +0\.25 1\.01× Sentence number 1\. .*Frase número 1\./);
    expect(table[2]).toContain('…');
    expect(table[3]).toMatch(/^00:15\.0 es +expired +Sentence number 3\. *$/);
  });

  test('columns stand under their names', () => {
    const [head, first, , third] = reportText(report, 110).split('\n');
    for (const row of [first, third]) expect(row!.indexOf('Sentence')).toBe(head!.indexOf('heard'));
    expect(first!.indexOf('Frase')).toBe(head!.indexOf('said'));
    expect(first!.indexOf('dubbed')).toBe(head!.indexOf('outcome'));
  });

  test('says what was heard, and what it all means in one line each', () => {
    const text = reportText(report, 120);
    expect(text).toContain('2 dubbed (1 of them shortened), 0 late, 1 caption only');
    expect(text).toContain('3 of 4 dubs heard where they were scheduled; onset p50 31 ms, p95 55 ms');
    expect(text).toContain('ear-voice span  p50 5.25 s');
    expect(text).toContain('speed           p50 1.01 ×, p95 1.02 ×, at most 1.02 ×; 100 % whole and within 0.9–1.2 ×');
    expect(text).toContain('to make it fit  natural 100 %');
    expect(text).toContain('starts off by   p50 0.25 s, p95 0.25 s');
    expect(text).toContain('loudness        not measured');
    const loudness = {
      original: { momentary: null, shortTerm: null, integrated: null, truePeak: null },
      'dub:es': { momentary: -20, shortTerm: -22, integrated: -23.04, truePeak: -1.26 },
    };
    expect(reportText({ ...report, loudness }, 120)).toContain('loudness        dub:es -23.0 LUFS, peak -1.3 dBTP');
    expect(text).toMatch(/picture to dub {2}-3\.[23] ms apart/);
    expect(text).toContain('talk.es.mp4: 40.0 s, 1000 pictures, 2 packets lost');
  });

  test.for([64, 80, 110])('nothing of it is wider than %i columns', (width) => {
    for (const row of reportText(report, width).split('\n')) expect([...row].length).toBeLessThanOrEqual(width);
  });
});

describe('a tape', () => {
  test('keeps sound where it belongs, and nothing that lies before or behind it', () => {
    const tape = new Tape(at(2_000_000), seconds(1));
    expect(tape.pcm).toHaveLength(48_000);
    expect(tape.end).toBe(3_000_000);
    tape.put(at(2_500_000), Float32Array.of(1, 2, 3));
    tape.put(at(1_999_000), Float32Array.of(9));
    tape.put(at(2_999_990), Float32Array.of(8, 8));
    expect([...tape.pcm].flatMap((x, i) => (x === 0 ? [] : [[i, x]]))).toEqual([
      [24_000, 1],
      [24_001, 2],
      [24_002, 3],
    ]);
  });
});

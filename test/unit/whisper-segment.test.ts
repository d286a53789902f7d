import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { at, later, ms, seconds } from '../../media/time.ts';
import { whisper, whisperStage } from '../../models/recognize/whisper.ts';
import type { Heard, Listener, Prompt, Writing } from '../../models/recognize/whisper-decoder.ts';
import { WhisperTokens } from '../../models/recognize/whisper-tokens.ts';
import type { Hypothesis, SpeechChunk } from '../../pipeline/domain.ts';
import { feed, flite, segmentOf } from '../fakes/recordings.ts';
import { music, noise, silence } from '../fakes/soundscapes.ts';
import { WHISPER } from '../fakes/whisper.ts';

const tokens = WhisperTokens.in(WHISPER);
const text = (words: readonly { text: string }[]) => words.map((word) => word.text).join(' ');

/** What a scripted model writes when it is asked: a text, or more exactly what it thinks of it. */
type Line = string | (Partial<Writing> & { readonly text: string });
interface Script {
  /** Called for each hypothesis with what it is to go on from. */
  readonly write: (prompt: Prompt, call: number) => Line;
  readonly attentive?: boolean;
  readonly onHear?: (features: Float32Array) => void;
  readonly endOf?: (tokens: readonly number[]) => number;
}
/** A model with windows of 5 s that says what it is told to. */
function scripted({ write, attentive = false, onHear = () => {}, endOf = () => 0 }: Script): Listener {
  let calls = 0;
  const heard: Heard = {
    languages: async () => new Map([['en', 1]]),
    write: async (prompt) => {
      const line = write(prompt, calls++);
      const { text: said, ...rest } = typeof line === 'string' ? { text: line } : line;
      const written = said === '' ? [] : tokens.encode(` ${said}`);
      const focus = attentive ? written.map(() => 0) : undefined;
      return { tokens: written, ended: true, logprob: -0.2, noSpeech: 0.02, focus, ...rest };
    },
    places: async (all, _, positions) =>
      attentive
        ? Array.from({ length: all.length + 1 }, (__, n) => Math.floor((n * positions) / all.length))
        : undefined,
    endOf: async (all) => endOf(all),
  };
  return {
    tokens,
    attentive,
    shape: {
      mels: 80,
      positions: 250,
      context: 200,
      vocabulary: tokens.size,
      layers: 1,
      heads: 1,
      width: 1,
      suppressed: [],
      notFirst: [],
      aligned: [[0, 0]],
    },
    hear: async (features) => {
      onHear(features);
      return heard;
    },
  };
}

const settings = (some: object = {}) => whisper.config.parse({ language: 'en', hop: 1, ...some });
async function recognise(
  listener: Listener,
  chunks: readonly SpeechChunk[],
  some: object = {},
  clock = new ManualClock(),
): Promise<Hypothesis[]> {
  const stage = whisperStage(listener, settings(some), 'scripted');
  const beliefs: Hypothesis[] = [];
  for await (const belief of stage.run(feed(chunks), { signal: new AbortController().signal, clock })) {
    beliefs.push(belief);
  }
  return beliefs;
}
/** Something loud with a voice's pitch. */
const voice = (length: number) =>
  Float32Array.from({ length: length * 16_000 }, (_, n) => {
    const t = n / 16_000;
    return [1, 2, 3, 4, 5].reduce((sum, k) => sum + (0.1 / k) * Math.sin(2 * Math.PI * 120 * k * t), 0);
  });
/** Texts of a script, one hypothesis each; the last for whatever comes after. */
const lines =
  (...all: readonly Line[]) =>
  (_: Prompt, call: number): Line =>
    all[Math.min(call, all.length - 1)]!;

describe('by local agreement, words are settled', () => {
  test('once two hypotheses in a row begin with them, behind what is settled', async () => {
    const listener = scripted({ write: lines('he hoped', 'he hoped their', 'there would', 'would be stew') });
    const beliefs = await recognise(listener, segmentOf(voice(4), 0));
    expect(beliefs.map(({ stable, draft }) => `${text(stable)}|${draft}`)).toEqual([
      '|he hoped',
      'he hoped|their',
      'he hoped|there would',
      'he hoped would be stew|',
    ]);
  });

  test('with what comes behind asked of the model from there on', async () => {
    const settled: string[] = [];
    const write = (prompt: Prompt, call: number) => {
      settled.push(tokens.decode(prompt.settled));
      return ['one two', 'one two three', 'three four', 'four'][Math.min(call, 3)]!;
    };
    const finals = await recognise(scripted({ write }), segmentOf(voice(4), 0));
    expect(settled).toEqual(['', '', ' one two', ' one two three']);
    expect(text(finals.at(-1)!.stable)).toBe('one two three four');
  });

  test('for good, whatever the model writes and whenever', async () => {
    const word = fc.constantFrom('a', 'b', 'c', 'three.', 'four,', '-', 'Thanks for watching!');
    const hypothesis = fc.array(word, { maxLength: 6 }).map((words) => words.join(' '));
    const doubtful = fc.record({
      text: hypothesis,
      logprob: fc.double({ min: -2, max: 0 }),
      noSpeech: fc.double({ min: 0, max: 1 }),
    });
    const script = fc.array(fc.oneof(hypothesis, doubtful), { minLength: 1, maxLength: 14 });
    const policy = fc.constantFrom('local-agreement', 'align-att');
    await fc.assert(
      fc.asyncProperty(script, policy, fc.integer({ min: 2, max: 12 }), async (all, rule, length) => {
        const listener = scripted({ write: lines(...(all as Line[])), attentive: rule === 'align-att' });
        const beliefs = await recognise(listener, segmentOf(voice(length), 0), { policy: rule, trim: 3 });
        let before: Hypothesis['stable'] = [];
        for (const { stable, start, end } of beliefs) {
          expect(stable.slice(0, before.length)).toEqual(before);
          for (const [n, each] of stable.entries()) {
            expect(each.end).toBeGreaterThanOrEqual(each.start);
            expect(each.start).toBeGreaterThanOrEqual(n > 0 ? stable[n - 1]!.end : start);
            expect(each.end).toBeLessThanOrEqual(end);
          }
          before = stable;
        }
        expect(beliefs.filter(({ final }) => final)).toEqual(beliefs.slice(-1));
      }),
      { numRuns: 60 },
    );
  });
});

describe('by AlignAtt, words are settled', () => {
  test('once the model has looked past them, without a second hypothesis', async () => {
    // 1 s of audio are 50 positions; the last 0.5 s may still change.
    const focus = (...places: number[]) => places;
    const write = (_: Prompt, call: number): Line =>
      call === 0
        ? { text: 'one two three', focus: focus(5, 12, 30), tokens: tokens.encode(' one two three') }
        : { text: 'three', focus: focus(30), tokens: tokens.encode(' three') };
    const beliefs = await recognise(scripted({ write, attentive: true }), segmentOf(voice(2), 0), {
      policy: 'align-att',
    });
    // What follows shows that a word is over: 'two' is, 'three' was looked for where audio may still come.
    expect(text(beliefs[0]!.stable)).toBe('one');
    expect(beliefs[0]!.draft).toBe('two three');
  });

  test('is refused for a model that does not tell what it looks at', () => {
    expect(() => whisperStage(scripted({ write: () => '' }), settings({ policy: 'align-att' }), 'scripted')).toThrow(
      "align-att needs the model's attention",
    );
  });
});

describe('nothing is said', () => {
  const INVENTED: readonly Line[] = [
    'Thank you for watching!',
    'Thanks for watching.',
    'Thank you.',
    'Subtitles by the Amara.org community',
    'you',
    '♪',
    '[Music]',
    'Please subscribe to my channel.',
    "I'll see you in the next video.",
    'la la la la la la la la la la la la',
    { text: 'and so we went on and on', noSpeech: 0.9, logprob: -0.8 },
    { text: 'something quite different', logprob: -1.3 },
    'Untertitel im Auftrag des ZDF für funk, 2017',
    'ご視聴ありがとうございました',
  ];
  /** Ten minutes in segments of six seconds, each with another invention; what was said about them. */
  async function minutes(sound: (seconds: number) => Float32Array): Promise<{ words: number; heard: number }> {
    let heard = 0;
    const listener = scripted({ write: (_, call) => INVENTED[call % INVENTED.length]!, onHear: () => (heard += 1) });
    const pcm = sound(600);
    const chunks = Array.from({ length: 100 }, (_, n) =>
      segmentOf(pcm.slice(n * 96_000, (n + 1) * 96_000), n, at(n * 6e6)),
    ).flat();
    const beliefs = await recognise(listener, chunks, { hop: 3 });
    expect(beliefs.filter(({ final }) => final).length).toBe(100);
    const words = beliefs.reduce((sum, { stable, draft }) => sum + stable.length + (draft === '' ? 0 : 1), 0);
    return { words, heard };
  }

  test('in ten minutes of silence, of which not a second is recognised', async () => {
    expect(await minutes(silence)).toEqual({ words: 0, heard: 0 });
  });
  test.for([
    ['noise', noise],
    ['music', music],
  ] as const)('in ten minutes of %s, by a model that invents', async ([, sound]) => {
    const { words, heard } = await minutes(sound);
    expect(heard).toBeGreaterThan(100);
    expect(words).toBe(0);
  });

  test('that was invented, and what people say alike is heard', async () => {
    const spoken = flite('Thank you for watching.');
    const beliefs = await recognise(scripted({ write: () => 'Thank you for watching.' }), segmentOf(spoken, 0));
    expect(text(beliefs.at(-1)!.stable)).toBe('Thank you for watching.');
  });

  test('about a segment without audio', async () => {
    const empty: SpeechChunk = { start: at(0), rate: 16_000, pcm: new Float32Array(0), segment: 0, last: true };
    expect(await recognise(scripted({ write: () => 'one' }), [empty])).toMatchObject([
      { stable: [], draft: '', final: true, start: 0, end: 0 },
    ]);
  });
});

describe('the model is told', () => {
  test('words to expect and what was said in the segments before, and no more than it can take', async () => {
    const contexts: string[] = [];
    const write = ({ context }: Prompt) => {
      contexts.push(tokens.decode(context));
      return 'three one four';
    };
    const chunks = [0, 1, 2].flatMap((n) => segmentOf(voice(0.5), n, at(n * 1e6)));
    await recognise(scripted({ write }), chunks, { glossary: ['Kyiv', 'Zbroc'], context: 4 });
    expect(contexts).toEqual([' Kyiv, Zbroc.', ' Kyiv, Zbroc. three one four', ' Kyiv, Zbroc. four three one four']);
  });

  test('nothing of what was not believed', async () => {
    const contexts: string[] = [];
    const write = ({ context }: Prompt, call: number): Line => {
      contexts.push(tokens.decode(context));
      return call === 1 ? { text: 'four four', logprob: -3 } : 'three one';
    };
    const chunks = [0, 1, 2].flatMap((n) => segmentOf(voice(0.5), n, at(n * 1e6)));
    await recognise(scripted({ write }), chunks);
    expect(contexts).toEqual(['', ' three one', '']);
  });
});

describe('a long segment', () => {
  test('is cut behind settled sentences, so that its window stays short and its words in order', async () => {
    const settled: string[] = [];
    const contexts: string[] = [];
    let sentence = 0;
    const write = (prompt: Prompt): Line => {
      settled.push(tokens.decode(prompt.settled));
      contexts.push(tokens.decode(prompt.context));
      if (prompt.settled.length === 0) sentence += 1;
      return prompt.settled.length === 0 ? 'one two three.' : '';
    };
    // In the model's opinion a sentence ends after two seconds.
    const longest = { seconds: 0 };
    const onHear = (features: Float32Array) => {
      const quiet = Math.min(...features);
      const last = features.subarray(0, 500).findLastIndex((value) => value > quiet + 1e-6);
      longest.seconds = Math.max(longest.seconds, last / 100);
    };
    const listener = scripted({ write, onHear, endOf: () => 100 });
    const beliefs = await recognise(listener, segmentOf(voice(30), 0), { trim: 2, context: 6 });
    expect(sentence).toBeGreaterThan(6);
    expect(longest.seconds).toBeGreaterThan(2);
    expect(longest.seconds).toBeLessThan(4.1);
    const said = text(beliefs.at(-1)!.stable);
    expect(said).toMatch(/^(one two three\.( |$))+$/);
    expect(contexts.at(-1)).toMatch(/three\.$/);
    expect(Math.max(...settled.map((each) => each.length))).toBeLessThanOrEqual(' one two three.'.length);
  });

  test('without an end of a sentence is cut when its window is full, and never fails', async () => {
    const listener = scripted({ write: ({ settled }) => (settled.length > 8 ? '' : 'and so on') });
    const beliefs = await recognise(listener, segmentOf(voice(20), 0));
    expect(beliefs.at(-1)!.final).toBe(true);
    expect(beliefs.at(-1)!.stable.length).toBeGreaterThan(3);
  });

  test('with a hole in it keeps its times', async () => {
    const chunks = segmentOf(voice(3), 0);
    const beliefs = await recognise(scripted({ write: () => 'one' }), chunks.toSpliced(40, 20));
    expect(beliefs.at(-1)!.end).toBe(later(at(0), seconds(3)));
  });
});

test('a model that takes longer than the hop is asked less often, so that it keeps up', async () => {
  const ask = async (cost: number) => {
    const clock = new ManualClock();
    let calls = 0;
    const write = () => {
      calls += 1;
      void clock.advance(ms(cost));
      return 'one';
    };
    await recognise(scripted({ write }), segmentOf(voice(4.9), 0), {}, clock);
    return calls;
  };
  expect(await ask(0)).toBe(5);
  expect(await ask(2_000)).toBe(3);
});

test('a language that the model does not know is refused by name', () => {
  expect(() => whisperStage(scripted({ write: () => '' }), settings({ language: 'nl' }), 'scripted')).toThrow(
    "it does not know the language 'nl'",
  );
});

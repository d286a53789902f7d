import { expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { at, later, ms, samples } from '../../media/time.ts';
import type { Language, Line, SpeakerId, Spoken, SpeechChunk, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { honest } from '../../pipeline/honest.ts';
import type { Stage, StageKind, StageMap } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { diarizerOf, enhancerBy, recognizerOf, synthesizerAt, translatorTo, vadOf, wordsOf } from '../fakes/stages.ts';

const [en, es] = ['en', 'es'] as [Language, Language];
const script = [{ from: 500, to: 1_500, text: 'Good morning everyone.' }];
const audio = () =>
  Array.from({ length: 20 }, (_, n) => ({
    start: later(at(0), samples(n * 1_600, 16_000)),
    rate: 16_000 as const,
    pcm: new Float32Array(1_600).fill(0.1),
  }));
const speech = (): SpeechChunk[] => audio().map((chunk, n) => ({ ...chunk, segment: 3, last: n === 19 }));
const said: Utterance = {
  id: 'u1' as UtteranceId,
  speaker: 's1' as SpeakerId,
  language: en,
  start: at(500_000),
  end: at(1_500_000),
  text: 'Good morning everyone.',
  words: wordsOf(script[0]!),
};
const line: Line = { ...said, utterance: said.id, language: es, text: 'Buenos días a todos.' };
const spoken: Spoken = {
  ...audio()[0]!,
  start: said.start,
  utterance: said.id,
  language: en,
  text: said.text,
  last: true,
};

conforms('an honest VAD', () => honest(vadOf(script)), audio);
conforms('an honest enhancer', () => honest(enhancerBy(2)), audio);
conforms('an honest diarizer', () => honest(diarizerOf(script)), speech);
conforms('an honest recognizer', () => honest(recognizerOf(script)), speech);
conforms(
  'an honest translator',
  () => honest(translatorTo(es)),
  () => [said],
);
conforms(
  'an honest synthesizer',
  () => honest(synthesizerAt(0.5)),
  () => [line],
);

/** A stage that takes everything and then says `lies`. */
const liar = <K extends StageKind>(kind: K, lies: readonly StageMap[K]['out'][], caps: object = {}): Stage<K> => ({
  kind,
  engine: 'liar',
  caps: { lookahead: ms(0), rate: 16_000, ...caps },
  async *run(input) {
    for await (const _ of input);
    yield* lies;
  },
});
async function believe<K extends StageKind>(stage: Stage<K>, items: readonly StageMap[K]['in'][]): Promise<number> {
  let count = 0;
  const input = (async function* () {
    yield* items;
  })();
  const scope = { signal: new AbortController().signal, clock: new ManualClock() };
  for await (const _ of honest(stage).run(input, scope)) count += 1;
  return count;
}

const nan = new Float32Array(1_600).fill(Number.NaN);
const loud = new Float32Array(1_600).fill(1e6);
const word = (text: string, start: number, end: number) => ({ text, start: at(start), end: at(end) });
const belief = (stable: ReturnType<typeof word>[], draft = '', final = false, segment = 3) => ({
  segment,
  start: at(0),
  end: at(2_000_000),
  stable,
  draft,
  final,
});
const voice = (pcm: Float32Array, last = true) => ({
  line,
  chunk: { start: at(0), rate: 16_000 as const, pcm },
  marks: [],
  last,
});

test.for<[string, () => Promise<number>, string]>([
  [
    'an enhancer whose samples are no numbers',
    () => believe(liar('enhancer', [{ ...audio()[0]!, pcm: nan }]), audio()),
    'unavailable',
  ],
  [
    'an enhancer a million times too loud',
    () => believe(liar('enhancer', [{ ...audio()[0]!, pcm: loud }]), audio()),
    'unavailable',
  ],
  [
    'an enhancer that speaks of the future',
    () => believe(liar('enhancer', [{ ...audio()[0]!, start: at(9e6) }]), audio()),
    'unavailable',
  ],
  [
    'a separator with stems of two lengths',
    () =>
      believe(
        liar('separator', [{ start: at(0), rate: 16_000, speech: nan.map(() => 0), rest: new Float32Array(3) }]),
        audio(),
      ),
    'unavailable',
  ],
  [
    'a VAD that is 150 % sure',
    () => believe(liar('vad', [{ start: at(0), end: at(32_000), probability: 1.5 }]), audio()),
    'unavailable',
  ],
  [
    'a VAD that is NaN sure',
    () => believe(liar('vad', [{ start: at(0), end: at(32_000), probability: Number.NaN }]), audio()),
    'unavailable',
  ],
  [
    'a diarizer that names nobody',
    () => believe(liar('diarizer', [{ start: at(0), end: at(1), speaker: '' as SpeakerId }]), speech()),
    'unavailable',
  ],
  [
    'a recognizer that speaks of another segment',
    () => believe(liar('recognizer', [belief([], '', false, 7)]), speech()),
    'unavailable',
  ],
  [
    'a recognizer that takes back a stable word',
    () => believe(liar('recognizer', [belief([word('one', 0, 9)]), belief([word('won', 0, 9)])]), speech()),
    'unavailable',
  ],
  [
    'a recognizer that never stops talking',
    () => believe(liar('recognizer', [belief([], 'thank you for watching '.repeat(40))]), speech()),
    'unavailable',
  ],
  [
    'a recognizer whose words are elsewhere',
    () => believe(liar('recognizer', [belief([word('one', 7e6, 8e6)])]), speech()),
    'unavailable',
  ],
  [
    'an aligner of what nobody said',
    () => believe(liar('aligner', [{ ...said, utterance: 'u9' as UtteranceId, phones: [], final: true }]), [spoken]),
    'rejected',
  ],
  ['a translator that says nothing', () => believe(liar('translator', [{ ...line, text: '  ' }]), [said]), 'rejected'],
  [
    'a translator that writes a novel',
    () => believe(liar('translator', [{ ...line, text: 'no '.repeat(200) }]), [said]),
    'rejected',
  ],
  [
    'a translator of what nobody said',
    () => believe(liar('translator', [{ ...line, utterance: 'u9' as UtteranceId }]), [said]),
    'rejected',
  ],
  ['a voice that is silent', () => believe(liar('synthesizer', [voice(new Float32Array(16_000))]), [line]), 'rejected'],
  ['a voice that is no sound', () => believe(liar('synthesizer', [voice(nan)]), [line]), 'rejected'],
  [
    'a voice that does not stop',
    () => believe(liar('synthesizer', [voice(new Float32Array(16_000 * 60).fill(0.1), false)]), [line]),
    'rejected',
  ],
])('%s is not believed', async ([, lie, kind]) => {
  await expect(lie()).rejects.toMatchObject({
    name: 'Fault',
    kind,
    message: expect.stringContaining('liar is not to be believed') as string,
  });
});

test('what is true is passed on as it is', async () => {
  const heard = belief([word('Good', 500_000, 700_000), word('morning', 700_000, 1_200_000)], 'everyone');
  expect(await believe(liar('recognizer', [heard, { ...heard, draft: '', final: true }]), speech())).toBe(2);
  expect(await believe(liar('synthesizer', [voice(new Float32Array(16_000 * 4).fill(0.1))]), [line])).toBe(1);
});

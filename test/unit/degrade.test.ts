import { describe, expect, test } from 'vitest';
import { at, ms, seconds } from '../../media/time.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';
import { fallback } from '../../pipeline/fallback.ts';
import { honest } from '../../pipeline/honest.ts';
import type { Stage, StageKind, StageMap } from '../../pipeline/stage.ts';
import { DUB, House, ORIGINAL, es, failing, script, silent } from '../fakes/house.ts';
import {
  alignerOf,
  diarizerOf,
  enhancerBy,
  recognizerOf,
  separatorAt,
  synthesizerAt,
  translatorTo,
  vadOf,
} from '../fakes/stages.ts';

const stages = {
  separator: separatorAt(),
  enhancer: enhancerBy(1),
  vad: vadOf(script),
  diarizer: diarizerOf(script),
  recognizer: recognizerOf(script),
  aligner: alignerOf(script),
  translator: translatorTo(es),
  synthesizer: synthesizerAt(DUB),
};
type Kind = keyof typeof stages;
const KINDS = Object.keys(stages) as Kind[];

/** The same stage, every output of which is a lie. */
function lying<K extends StageKind>(stage: Stage<K>, lie: (out: StageMap[K]['out']) => StageMap[K]['out']): Stage<K> {
  return {
    ...stage,
    async *run(input, scope) {
      for await (const out of stage.run(input, scope)) yield lie(out);
    },
  };
}
const noise = (pcm: Float32Array) => pcm.map(() => Number.NaN);
const liars: { readonly [K in Kind]: Stage } = {
  separator: lying(stages.separator, (out) => ({ ...out, speech: noise(out.speech) })),
  enhancer: lying(stages.enhancer, (out) => ({ ...out, pcm: noise(out.pcm) })),
  vad: lying(stages.vad, (out) => ({ ...out, probability: Number.NaN })),
  diarizer: lying(stages.diarizer, (out) => ({ ...out, speaker: '' as SpeakerId })),
  recognizer: lying(stages.recognizer, (out) => ({ ...out, draft: 'thank you for watching '.repeat(50) })),
  aligner: lying(stages.aligner, (out) => ({ ...out, words: out.words.map((word) => ({ ...word, start: at(9e9) })) })),
  translator: lying(stages.translator, (out) => ({ ...out, text: '' })),
  synthesizer: lying(stages.synthesizer, (out) => ({ ...out, chunk: { ...out.chunk, pcm: noise(out.chunk.pcm) } })),
};
const ways = {
  killed: (kind: Kind) => failing(stages[kind] as Stage, 'unavailable'),
  overloaded: (kind: Kind) => failing(stages[kind] as Stage, 'overloaded'),
  broken: (kind: Kind) => failing(stages[kind] as Stage, 'broken'),
  silent: (kind: Kind) => silent(stages[kind] as Stage),
  lying: (kind: Kind) => liars[kind],
};
type Way = keyof typeof ways;
const WAYS = Object.keys(ways) as Way[];

/** Plays 14 s of programme in which the stage of that kind does as it does. */
async function played(kind: Kind, stage: Stage): Promise<House> {
  const all = Object.fromEntries(
    Object.entries(stages).map(([name, each]) => [name, name === kind ? stage : honest(each as Stage)]),
  );
  const house = new House(all, { es: all }, { stall: seconds(1) });
  await house.play(seconds(14));
  return house;
}
const [O, D] = [ORIGINAL, DUB];
/** What the viewer gets without a stage: the levels of three lines, text, and whether there is a source caption. */
const without: Record<Kind, [number[], string]> = {
  separator: [[D, D, D], 'dubbed translated reduced'],
  enhancer: [[D, D, D], 'dubbed translated reduced'],
  vad: [[O, O, O], 'original none'],
  diarizer: [[D, D, D], 'dubbed translated reduced'],
  recognizer: [[O, O, O], 'original none'],
  aligner: [[D, D, D], 'dubbed translated reduced'],
  translator: [[O, O, O], 'original transcribed'],
  synthesizer: [[O, O, O], 'original translated'],
};

describe.for(KINDS)('the %s', (kind) => {
  test.for(WAYS)('is %s: the viewer gets what can be had without it, every sample of it', async (way) => {
    const house = await played(kind, honest(ways[way](kind)));
    const [levels, mode] = without[kind];
    expect(house.lineLevels()).toEqual(levels);
    // Nothing is missing from either track, and nothing in them is no sound.
    expect(house.heard['es']).toHaveLength(1_000);
    expect(house.heard['es']?.every(Number.isFinite)).toBe(true);
    expect(house.original.every((x) => x === ORIGINAL)).toBe(true);
    expect(house.faults.length).toBeGreaterThan(0);
    expect(house.faults.every((fault) => fault.startsWith(kind))).toBe(true);
    // One refused item is no reason to call a stage down.
    const refuses = way === 'lying' && ['aligner', 'translator', 'synthesizer'].includes(kind);
    if (!refuses) {
      const { audio, text, quality } = house.mode;
      expect(`${audio} ${text} ${quality}`.startsWith(mode)).toBe(true);
    }
  });

  if (kind === 'separator' || kind === 'enhancer' || kind === 'aligner') return;
  test.for(WAYS)('is %s and has a stand-in: every line is dubbed, and the viewer is told', async (way) => {
    const spare = { ...(stages[kind] as Stage), engine: 'spare' };
    const house = await played(kind, fallback(honest(ways[way](kind)), spare, { patience: ms(300) }));
    expect(house.lineLevels()).toEqual([D, D, D]);
    expect(house.faults).toEqual([]);
    const report = house.dubbing.stages.find((each) => each.kind === kind && each.engine !== 'nearest sample');
    const refuses = way === 'lying' && ['translator', 'synthesizer'].includes(kind);
    expect(report?.standIn).toBe(refuses ? null : 'spare');
    expect(house.mode).toMatchObject({ audio: 'dubbed', text: 'translated', quality: refuses ? 'full' : 'reduced' });
  });
});

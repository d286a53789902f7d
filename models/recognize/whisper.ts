import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Span, seconds } from '../../media/time.ts';
import type { Language, SpeechChunk } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { guardSettings } from './hallucination.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { modelDirectory, needsModel } from '../store/weights.ts';
import { WHISPER_CARDS, type WhisperSize } from './whisper-cards.ts';
import { type Listener, WhisperListener } from './whisper-decoder.ts';
import { SpokenLanguage } from './whisper-language.ts';
import { WHISPER_RATE } from './whisper-mel.ts';
import { whisperShape } from './whisper-model.ts';
import { type Memory, type Streaming, WhisperSegment } from './whisper-segment.ts';
import { WhisperTokens } from './whisper-tokens.ts';

/** Tokens the glossary may have: a prompt has 223 at most, and what was said before needs room, too. */
const GLOSSARY = 96;
const SIZES = Object.keys(WHISPER_CARDS) as [WhisperSize, ...WhisperSize[]];
const primary = (language: string) => language.toLowerCase().split('-')[0] ?? '';

const config = z.strictObject({
  size: z.enum(SIZES).default('base').describe('Which of the published models.'),
  model: z.string().optional().describe('Directory with a model of your own, laid out as the published ones are.'),
  language: z
    .string()
    .regex(/^(auto|[a-z]{2,3}(-[A-Za-z0-9]+)*)$/, { error: "give a language as in 'en' or 'pt-BR', or 'auto'" })
    .default('auto')
    .describe("Language of the programme, or 'auto' to find out from its first sentences."),
  policy: z
    .enum(['local-agreement', 'align-att'])
    .default('local-agreement')
    .describe('Words are settled once two hypotheses agree, or once the model looks past them (needs its attention).'),
  hop: z.number().min(0.2).max(10).default(0.8).describe('Seconds of new audio between two hypotheses, at least.'),
  guard: z.number().min(0.1).max(3).default(0.5).describe('With align-att: seconds at the end that may still change.'),
  trim: z
    .number()
    .min(2)
    .max(28)
    .default(15)
    .describe('Seconds after which a window is cut behind a settled sentence.'),
  context: z.int().min(0).max(200).default(64).describe('Tokens of what was said before that the model is told.'),
  glossary: z.array(z.string().min(1).max(60)).max(60).default([]).describe('Names and terms to expect.'),
  doubts: guardSettings.prefault({}).describe('When what was written is taken for invented.'),
  runtime: networkSettings.prefault({}),
});
export type WhisperSettings = z.output<typeof config>;

/** The stage around a model that hears windows: segments one after the other, each recognised as it comes in. */
export function whisperStage(listener: Listener, settings: WhisperSettings, engine: string): Stage<'recognizer'> {
  const { language, policy, context, glossary, doubts } = settings;
  const window = seconds((listener.shape.positions * 2) / 100);
  const hop = seconds(settings.hop);
  const guard = seconds(settings.guard);
  const trim = Math.min(seconds(settings.trim), 0.6 * window) as Span;
  const given = language === 'auto' ? undefined : primary(language);
  const known = listener.tokens.languages;
  if (given !== undefined && (known.size > 0 ? !known.has(given) : given !== 'en')) {
    throw new Fault('recognizer', 'broken', `Cannot load ${engine}: it does not know the language '${language}'`);
  }
  if (policy === 'align-att' && !listener.attentive) {
    const fix = `set 'policy' to local-agreement, or use a size that gives it (tiny, base, small)`;
    throw new Fault('recognizer', 'broken', `Cannot load ${engine}: align-att needs the model's attention; ${fix}`);
  }
  const rules: Streaming = { policy, hop, guard, trim, doubts };
  const words = glossary.length > 0 ? listener.tokens.encode(` ${glossary.join(', ')}.`).slice(0, GLOSSARY) : [];
  return {
    kind: 'recognizer',
    engine,
    caps: {
      rate: WHISPER_RATE,
      // Two hypotheses, or the end that may still change, behind a word that is over.
      lookahead: policy === 'align-att' ? ((hop + guard) as Span) : ((2 * hop) as Span),
      languages: (known.size > 0 ? [...known.keys()] : ['en']) as Language[],
      drafts: true,
      wordTimes: listener.attentive,
    },
    async *run(input, { signal, clock }) {
      const memory: Memory = { glossary: words, depth: context, language: new SpokenLanguage(given), said: [] };
      const begin = (chunk: SpeechChunk) => new WhisperSegment(listener, rules, memory, chunk, { clock, signal });
      let segment: WhisperSegment | undefined;
      try {
        for await (const chunk of until(input, signal)) {
          // The rest of it, with its last chunk, was lost on the way.
          if (segment && segment.number !== chunk.segment) yield await segment.finish();
          if (segment?.number !== chunk.segment) segment = begin(chunk);
          const news = await segment.hear(chunk);
          if (news && !chunk.last) yield news;
          if (!chunk.last) continue;
          yield await segment.finish();
          segment = undefined;
        }
        if (segment && !signal.aborted) yield await segment.finish();
      } catch (failure) {
        if (!signal.aborted) throw failure;
      }
    },
  };
}

/**
 * Whisper, made to stream: it hears windows of up to 30 s again and again while they grow, and gives away the words
 * that will not change.
 *
 * Its two networks run in the engine's own thread, since every token of text needs the keys and values of all that was
 * heard: 18 MB for tiny, 490 MB for large-v3, which would otherwise be copied from thread to thread with each of them.
 *
 * @see https://github.com/openai/whisper
 */
export const whisper = defineEngine({
  kind: 'recognizer',
  id: 'whisper',
  host: 'thread',
  summary: 'Whisper, streaming: 99 languages, words settled by LocalAgreement or AlignAtt, a prompt with a glossary.',
  licence: 'MIT',
  needs: [needsModel(WHISPER_CARDS.base)],
  models: Object.values(WHISPER_CARDS),
  languages: 'any',
  config,
  async load(settings, scope) {
    const { size, model, runtime } = settings;
    const card = WHISPER_CARDS[size];
    const directory = modelDirectory(card, model);
    const name = model === undefined ? `whisper ${size}` : `whisper in ${model}`;
    if (!existsSync(join(directory, 'config.json'))) {
      const fix = model === undefined ? `livedub models pull ${card.name}` : `put config.json and onnx/ there`;
      throw new Fault('recognizer', 'broken', `Cannot load ${name}: there is no model in ${directory} (${fix})`);
    }
    const open = (network: string, part: string) =>
      openOnnx(join(directory, 'onnx', network), scope, {
        stage: 'recognizer',
        name: `whisper ${part}`,
        settings: runtime,
      });
    const shape = whisperShape(directory);
    const encoder = await open('encoder_model.onnx', 'encoder');
    const decoder = await open('decoder_model_merged.onnx', 'decoder');
    const listener = new WhisperListener({ encoder, decoder }, shape, WhisperTokens.in(directory));
    return whisperStage(listener, settings, name);
  },
});

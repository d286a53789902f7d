import { z } from 'zod';
import { later, ms, seconds } from '../../media/time.ts';
import type { Language, Line, Utterance } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { defineEngine } from '../engine.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { inFlight } from './in-flight.ts';
import { needsVariable } from '../service/keys.ts';
import { RunningContext } from './running-context.ts';
import { asSentence } from './sentence.ts';

const FREE = 'https://api-free.deepl.com';
const PRO = 'https://api.deepl.com';
const VARIABLE = 'DEEPL_API_KEY';

/** Targets that DeepL wants told apart by region or script. */
const REGIONS: readonly (readonly [RegExp, string])[] = [
  [/^en-(?:gb|au|nz|ie|in|za)/i, 'EN-GB'],
  [/^en/i, 'EN-US'],
  [/^pt-br/i, 'PT-BR'],
  [/^pt/i, 'PT-PT'],
  [/^zh-(?:hant|tw|hk|mo)/i, 'ZH-HANT'],
  [/^zh/i, 'ZH-HANS'],
  [/^es-(?:419|mx|ar|co|cl|pe|us)/i, 'ES-419'],
  [/^(?:no|nn)(?:-|$)/i, 'NB'],
];
const base = (language: string) => (language.split('-')[0] ?? '').toUpperCase();
/** The language as DeepL's `target_lang`. */
export const targetOf = (language: string): string =>
  REGIONS.find(([range]) => range.test(language))?.[1] ?? base(language);
/** The language as DeepL's `source_lang`, which knows no regions. */
export const sourceOf = (language: string): string => (/^(?:no|nn)(?:-|$)/i.test(language) ? 'NB' : base(language));

const Translations = z.object({ translations: z.array(z.object({ text: z.string() })).length(1) });

/**
 * DeepL's translation API: `POST /v2/translate`. Keys of the free plan end in `:fx` and work at api-free.deepl.com alone.
 *
 * What was said before goes along as `context`, which is not translated and not charged. Terms are DeepL's own business:
 * a glossary is made there and named here.
 *
 * @see https://developers.deepl.com/api-reference/translate
 * @see https://developers.deepl.com/docs/getting-started/auth
 * @see https://developers.deepl.com/docs/best-practices/error-handling
 */
export const deepl = defineEngine({
  kind: 'translator',
  id: 'deepl',
  host: 'inline',
  config: z.strictObject({
    from: z.string().min(2).max(35).default('en').describe('Language of the programme, BCP 47.'),
    to: z.string().min(2).max(35).describe('Language of the dub, BCP 47.'),
    ...serverSettings(FREE),
    glossaryId: z.string().min(1).max(120).optional().describe('A glossary made with DeepL for this pair.'),
    formality: z
      .enum(['default', 'more', 'less', 'prefer_more', 'prefer_less'])
      .optional()
      .describe('How to address people, where the language tells apart.'),
    context: z.int().min(0).max(50).default(6).describe('How many utterances before a line are shown with it.'),
    inFlight: z.int().min(1).max(16).default(1).describe('Lines asked for at a time; they come out in order.'),
    timeout: z.number().min(0.1).max(120).default(6).describe('Seconds to wait for a line.'),
  }),
  byName: true,
  summary: 'DeepL: translation by a service, with its glossaries and what was said before.',
  licence: 'LicenseRef-DeepL-Terms',
  needs: [needsVariable(VARIABLE)],
  pairs: 'any',
  load: async (settings, scope): Promise<Stage<'translator'>> => {
    const { glossaryId, formality, timeout } = settings;
    const [from, to] = [settings.from as Language, settings.to as Language];
    // The paid service has the same key's variable, at its own address.
    const home = new URL(settings.baseUrl).origin === PRO ? PRO : FREE;
    const client = new HttpClient({
      stage: 'translator',
      engine: 'deepl',
      settings,
      service: { url: home, variable: VARIABLE },
      authorize: (key) => ({ authorization: `DeepL-Auth-Key ${key}` }),
      // The month's characters are used up: asking again is no use.
      statuses: { 456: 'broken' },
    });
    const context = new RunningContext(settings.context);
    const translate = async (
      { id, speaker, start, end, text }: Utterance,
      run: Parameters<Parameters<typeof inFlight>[1]>[1],
    ): Promise<Line | undefined> => {
      const source = asSentence(text, from);
      if (!/[\p{L}\p{N}]/u.test(source)) return undefined;
      const before = context.next({ speaker, source }).map((each) => each.source);
      const { translations } = await client.json(
        {
          path: '/v2/translate',
          json: {
            text: [source],
            source_lang: sourceOf(from),
            target_lang: targetOf(to),
            split_sentences: '0',
            ...(before.length > 0 && { context: before.join(' ') }),
            ...(glossaryId !== undefined && { glossary_id: glossaryId }),
            ...(formality !== undefined && { formality }),
          },
          said: source,
          deadline: later(run.clock.now(), seconds(timeout)),
        },
        Translations,
        run,
      );
      client.spent({ characters: [...source].length });
      const line = translations[0]?.text.trim() ?? '';
      if (line === '') throw client.fault('rejected', 'no translation came back: it is empty');
      return { utterance: id, speaker, language: to, start, end, text: line };
    };
    return {
      kind: 'translator',
      engine: 'deepl',
      caps: { lookahead: ms(0), from: [from], to: [to] },
      run: inFlight<Utterance, Line>(settings.inFlight, translate, scope.signal),
    };
  },
});

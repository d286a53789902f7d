import { z } from 'zod';
import type { Language } from '../../pipeline/domain.ts';

/** What a chat server answers, as far as it is used here. */
export const ChatAnswer = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
        finish_reason: z.string().nullish(),
      }),
    )
    .min(1),
  usage: z
    .object({ prompt_tokens: z.number().min(0).default(0), completion_tokens: z.number().min(0).default(0) })
    .nullish(),
});
export type ChatAnswer = z.output<typeof ChatAnswer>;

/** What a model thinks before it answers, where the server leaves that in. */
const THOUGHTS = /^\s*<(think|thinking|reasoning)>[\s\S]*?<\/\1>/i;
const FENCE = /^```[\w-]*\n([\s\S]*?)\n?```$/;
/** "Here is the translation:", "Traducción:", "Sure! The Spanish line is:" before the line itself. */
const PREAMBLE =
  /^(?:(?:sure|certainly|of course|okay|ok)\b[^\n:]{0,60}[.!:,]\s*)?(?:(?:here(?:'s| is| are)|this is|the)\b[^\n:]{0,80}|translation|translated(?: line| text)?|traducci[oó]n|traduction|übersetzung|traduzione|tradução|перевод|翻译|译文|訳)\s*[:：]\s*/i;
const QUOTES: readonly (readonly [string, string])[] = [
  ['"', '"'],
  ["'", "'"],
  ['“', '”'],
  ['‘', '’'],
  ['«', '»'],
  ['„', '“'],
  ['「', '」'],
  ['`', '`'],
];

/** The string under `translation`, or the only one there is, of a JSON object. */
function inJson(text: string): string | undefined {
  const start = text.indexOf('{');
  const end = text.lastIndexOf('}');
  if (start < 0 || end < start) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text.slice(start, end + 1));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const strings = Object.values(fields).filter((each) => typeof each === 'string');
  const named = fields['translation'] ?? fields['line'] ?? fields['text'];
  return typeof named === 'string' ? named : strings.length === 1 ? strings[0] : '';
}

function unquoted(text: string): string {
  for (const [open, close] of QUOTES) {
    const inner = text.slice(open.length, -close.length);
    if (text.length > 2 && text.startsWith(open) && text.endsWith(close) && !inner.includes(open)) return inner.trim();
  }
  return text;
}

/**
 * The line in what a language model wrote: JSON or plain, with or without thoughts, fences, a preamble and quotes.
 *
 * @param source a preamble or quotes that the line itself has are its own
 */
export function lineIn(content: string, source: string): string {
  const bare = content.replace(THOUGHTS, '').trim();
  const unfenced = FENCE.exec(bare)?.[1]?.trim() ?? bare;
  const structured = inJson(unfenced);
  const text =
    structured ?? unfenced.replace(/:\s*\n\s*\n?/, ': ').replace(source.includes(':') ? /(?!)/ : PREAMBLE, '');
  const line = text.replace(/\s+/g, ' ').trim();
  return unquoted(source.trim()) === source.trim() ? unquoted(line) : line;
}

/** A model that speaks for itself instead. */
const REFUSAL =
  /^(?:i(?:'|’)?m (?:very |so |really )?(?:sorry|afraid|unable|not able)|i am (?:sorry|unable|not able)|sorry, (?:but )?i|i (?:can(?:'|’)?t|cannot|can not|won(?:'|’)?t|am not able to) (?:help|assist|translate|provide|comply|fulfil|do that|continue)|i apologi[sz]e|as an? (?:ai|artificial|language model)|lo siento,? (?:pero )?(?:no puedo|como)|no puedo (?:ayudar|traducir|ayudarte)|como (?:modelo|una? (?:ia|inteligencia))|je (?:suis désolée?|ne peux pas)|désolée?,? (?:mais )?je|es tut mir leid|ich kann (?:das|dies|dabei|ihnen|diese)|mi dispiace,? (?:ma )?non|desculpe,? (?:mas )?(?:não|eu)|我(?:很抱歉|无法|不能)|抱歉|申し訳)/i;

/** Words that count when two texts are compared. */
const wordsOf = (text: string) =>
  text
    .normalize('NFC')
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? [];

/** A translation may be this many times as long as its source, in letters or syllables; a short one has some to spare. */
const LONGER = 5;
const SPARE = 12;

/** The scripts a language is written in: Japanese in Han, Hiragana and Katakana. */
function scriptsOf(language: Language): RegExp | undefined {
  let script = '';
  try {
    script = new Intl.Locale(language).maximize().script ?? '';
  } catch {
    return undefined;
  }
  const several: Record<string, string> = {
    Jpan: '[\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}]',
    Kore: '[\\p{sc=Hang}\\p{sc=Han}]',
  };
  const han: Record<string, string> = { Hans: 'Han', Hant: 'Han' };
  try {
    return new RegExp(several[script] ?? `\\p{sc=${han[script] ?? script}}`, 'u');
  } catch {
    return undefined;
  }
}

/** A line to judge. */
export interface Judged {
  readonly source: string;
  readonly line: string;
  readonly from: Language;
  readonly to: Language;
  /** Terms that stay as they are. */
  readonly kept: readonly string[];
}

/** Why what came back is no translation of the source, or nothing. Words of either are not repeated. */
export function notATranslation({ source, line, from, to, kept }: Judged): string | undefined {
  const [asked, answered] = [wordsOf(source), wordsOf(line)];
  if (answered.length === 0) return asked.length === 0 ? undefined : 'it is empty';
  if (REFUSAL.test(line) && !REFUSAL.test(source)) return 'it is a refusal';
  // A Chinese character says as much as some four letters do.
  const weight = (text: string) => [...text].length + 2 * (text.match(/[\p{sc=Han}\p{sc=Hang}]/gu)?.length ?? 0);
  if (weight(line) > LONGER * (weight(source) + SPARE)) return 'it is more than five times as long as its source';
  const own = new Set(kept.flatMap(wordsOf));
  const telling = asked.filter((word) => !own.has(word) && !/^\p{N}+$/u.test(word));
  const same = from.split('-')[0] === to.split('-')[0];
  if (!same && telling.length >= 3) {
    const said = new Set(answered);
    const repeated = telling.filter((word) => said.has(word)).length / telling.length;
    if (repeated > 0.8) return 'it is in the language of its source';
  }
  const script = scriptsOf(to);
  if (script && /\p{L}/u.test(line) && telling.length > 0 && !script.test(line)) return `it is not written as ${to} is`;
  return undefined;
}

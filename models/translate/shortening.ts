import type { Language, Utterance } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { capitalised } from './sentence.ts';
import { syllables, syllablesByRule } from './syllables.ts';

/**
 * Says a text in fewer words before it is translated, for translators that cannot be asked for a shorter line: what
 * carries no meaning goes, long phrases become short ones. Negations, numbers and names stay.
 */

/** How much a change costs: nothing that was said, or a shade of it. */
export type Cost = 'free' | 'shade';

/** A text with some of it taken away. */
export interface Shorter {
  readonly text: string;
  /** Of the dearest change in it. */
  readonly cost: Cost;
}

/** What is looked for, and what stands in its place. */
interface Rule {
  readonly cost: Cost;
  readonly find: RegExp;
  readonly put: string;
  /** At least so many words must be left. */
  readonly leaves: number;
}

/** A whole word or phrase, with the comma and the blank behind it. */
const phrase = (words: string) => String.raw`(?<![\p{L}\p{N}'’-])(?:${words})(?![\p{L}\p{N}'’-]),?\s*`;
const rule = (cost: Cost, find: string, put = '', leaves = 3): Rule => ({
  cost,
  find: new RegExp(find, 'giu'),
  put,
  leaves,
});
/** Behind the beginning of the text, of a sentence, or of a clause. */
const OPENING = String.raw`(?<=^\s*|[.!?…;:]["”’»)]?\s+|[¿¡])`;
/** Between two commas, or before a sentence's end: said in passing. */
const passing = (words: string) => String.raw`,\s*(?:${words})(?=\s*[.!?…]|$)|(?<=,\s*)(?:${words}),\s*`;
/** Not behind a negation in the same clause: `not really so` is not `not so`. */
const AFFIRMED = String.raw`(?<!(?:\b(?:not|no|never|nor|hardly|cannot|without|nunca|ni|sin|tampoco)|n['’]t)\s+(?:[\p{L}'’-]+\s+){0,3})`;

/** Ordered by what they cost, the least first. */
const RULES: Readonly<Record<string, readonly Rule[]>> = {
  en: [
    // Sounds of hesitation, and words said twice while looking for the next.
    rule('free', phrase('u+h+m*|u+m+|e+rm|hm+|mhm|uh[- ]huh'), '', 1),
    rule('free', String.raw`\b(i|we|you|he|she|it|they|the|a|an|and|but|so|to|in|of|is|was)\s+(?=\1\b)`, '', 1),
    // What holds the floor.
    rule(
      'free',
      `${OPENING}${phrase('(?:okay|ok|alright|all right|well|oh|ah|look|listen|so|now|you see|you know what|i mean|the thing is),')}`,
      '',
      1,
    ),
    rule(
      'free',
      OPENING +
        phrase(
          String.raw`well(?=\s+(?:i|we|you|he|she|it|they|there|this|that|the|yes|no|of course|you know)\b)|okay so|so yeah|` +
            String.raw`(?:so |but |and )?the thing is that|i mean(?=\s+(?:i|we|you|he|she|they|there|the|if|when|because)\b)`,
        ),
      '',
      1,
    ),
    rule('free', String.raw`,\s*(?:right|okay|yeah|huh|you know|you see)\s*\?`, '.'),
    rule(
      'free',
      passing('like|you know|i mean|you see|okay|yeah|huh|of course|if you will|so to speak|as it were|as you know'),
    ),
    rule(
      'free',
      String.raw`(?<!\b(?:do|did|don['’]t|if|as|that|when|what|how|because|until|before|let|would)\s+)` +
        phrase(
          String.raw`you know(?!\s+(?:what|that|how|who|why|where|when|if|whether|it|this|the|a|an|my|your|his|her|him|them|me|us|about|nothing|everything|something|better|more|and|or)\b)`,
        ),
    ),
    rule(
      'free',
      String.raw`(?<!\b(?:a|an|the|this|that|these|what|some|any|same|every|of|one|another|different|best|right|new)\s+)` +
        phrase('sort of|kind of'),
    ),
    // Long ways to say something short.
    ...(
      [
        ['in order to', 'to'],
        ['due to the fact that|owing to the fact that|because of the fact that|on account of the fact that', 'because'],
        ['in spite of the fact that|despite the fact that', 'although'],
        ['at this point in time|at the present time|at this moment in time', 'now'],
        ['at the moment', 'now'],
        ['in the event that', 'if'],
        ['prior to', 'before'],
        ['with regard to|with respect to|in regard to', 'about'],
        ['for the purpose of', 'for'],
        ['in spite of', 'despite'],
        ['first of all', 'first'],
        ['each and every', 'every'],
        ['as a result of', 'from'],
        ['the majority of', 'most of'],
        ['a large number of|a great number of|a great many', 'many'],
        ['all of the', 'all the'],
        ['is able to', 'can'],
        ['are able to', 'can'],
        ['nevertheless|nonetheless', 'still'],
        ['approximately', 'about'],
        ['additionally|furthermore|moreover', 'also'],
      ] as const
    ).map(([long, short]) => rule('free', phrase(long), `${short} `)),
    // Marks of speech within a sentence.
    rule('free', AFFIRMED + phrase('basically|essentially|literally|obviously|honestly|frankly')),
    rule(
      'free',
      phrase(
        'as a matter of fact|to be honest(?: with you)?|to tell you the truth|at the end of the day|as i said|like i said',
      ),
    ),
    // Shades.
    rule('shade', AFFIRMED + phrase('actually|in fact|of course|really')),
    rule('shade', `(?<=\\bthank (?:you|s)\\s+)${phrase('very much|so much')}`, '', 2),
    rule(
      'shade',
      AFFIRMED +
        String.raw`(?<!\b(?:the|this|that|these|those|my|your|his|her|its|our|their|so|how)\s+)` +
        phrase(String.raw`very(?!\s+(?:much|few|little|same|first|last)\b)`),
    ),
    rule(
      'shade',
      AFFIRMED +
        phrase('extremely|absolutely|totally|completely|entirely|incredibly|particularly|quite(?! (?:a|an|the))'),
    ),
    rule(
      'shade',
      String.raw`(?<=\b(?:i|we|you|he|she|they|it|there)(?:['’](?:m|re|s|ll|ve|d))?\s+)` +
        phrase(String.raw`just(?!\s+(?:as|like|about|now|in|one|a|an|the|because|enough)\b)`),
    ),
    rule(
      'shade',
      `${OPENING}(?:(?:and|but|so)\\s+)?${phrase(String.raw`(?:i (?:think|guess|suppose|believe)|it seems(?: to me)?)(?: that)?(?=\s+(?:i|we|you|he|she|it|they|there|this|that|these|those|the|my|our|your|his|her|their)\b)`)}`,
    ),
    rule('shade', String.raw`,?\s+(?:anyway|as well|too)(?=\s*[.!?…]|$)`),
  ],
  es: [
    rule('free', phrase('e+h+|e+m+|mm+|ajá'), '', 1),
    rule('free', String.raw`(?<![\p{L}])(yo|el|la|los|las|un|una|y|que|de|en|es|se)\s+(?=\1(?![\p{L}]))`, '', 1),
    rule(
      'free',
      `${OPENING}${phrase('(?:bueno|pues|vale|mira|miren|oye|oiga|venga|entonces|claro|hombre|a ver),')}`,
      '',
      1,
    ),
    rule(
      'free',
      `${OPENING}${phrase('bueno pues|pues bueno|pues|o sea(?: que)?|es que|lo que pasa es que|la verdad es que')}`,
      '',
      1,
    ),
    rule(
      'free',
      passing('pues|o sea|digamos|bueno|este|claro|por así decirlo|como quien dice|ya sabes|ya saben|por supuesto'),
    ),
    rule('free', String.raw`,?\s*¿(?:verdad|vale|sabes|entiendes|me entiendes|eh)\?`, '.'),
    rule('free', phrase('digamos|por así decirlo|como quien dice|ya sabes')),
    ...(
      [
        ['con el fin de|con el objetivo de|con el propósito de', 'para'],
        ['debido al hecho de que|debido a que|a causa de que', 'porque'],
        ['a pesar de que|pese a que', 'aunque'],
        ['en este momento|en estos momentos|en la actualidad', 'ahora'],
        ['con respecto a|respecto a|en relación con', 'sobre'],
        ['en primer lugar|antes que nada', 'primero'],
        ['sin embargo|no obstante', 'pero'],
        ['por lo tanto|por consiguiente', 'así'],
        ['posteriormente', 'luego'],
        ['todos y cada uno de', 'todos'],
        ['es decir', 'o sea'],
      ] as const
    ).map(([long, short]) => rule('free', phrase(long), `${short} `)),
    rule('free', AFFIRMED + phrase('básicamente|literalmente|obviamente|evidentemente|sinceramente|francamente')),
    rule('shade', AFFIRMED + phrase('realmente|en realidad|de hecho|por supuesto|desde luego')),
    rule(
      'shade',
      AFFIRMED +
        phrase(
          'muy(?! bien)|sumamente|extremadamente|absolutamente|totalmente|completamente|increíblemente|particularmente',
        ),
    ),
    rule('shade', `${OPENING}(?:(?:y|pero)\\s+)?${phrase('(?:yo )?(?:creo|pienso|supongo) que|me parece que')}`),
    rule('shade', String.raw`,?\s+(?:también|además)(?=\s*[.!?…]|$)`),
  ],
};

/** Whether there are rules for a language. */
export const canShorten = (language: Language): boolean => base(language) in RULES;
const base = (language: string) => language.toLowerCase().split('-')[0] ?? '';

/** What must not go: negations, digits, and names, which have capitals in the middle of a sentence. */
const DENIES =
  /\b(?:not|no|nor|none|never|nobody|nothing|neither|cannot|without|nunca|nadie|nada|ni|sin|jamás|tampoco|ningun\p{L}*|ningún)\b|n['’]t\b/iu;
const NUMBER = /\p{N}/u;
const NAME = /(?<!^)(?<![.!?…¿¡]\s*)(?!I\b)\b\p{Lu}/u;

/**
 * Ever shorter versions of a text, one change after the other, the least costly first. Each has the changes of those
 * before it. There may be none.
 */
export function* shorterVersions(text: string, language: Language): Generator<Shorter, void, void> {
  const rules = RULES[base(language)] ?? [];
  let now = text;
  for (const cost of ['free', 'shade'] as const) {
    // What is taken away may leave the next one at the beginning.
    for (let before = ''; before !== now;) {
      before = now;
      for (const each of rules.filter((one) => one.cost === cost)) {
        for (const changed of changes(now, each)) yield { text: (now = changed), cost };
      }
    }
  }
}

/** What one rule makes of a text, from left to right. */
function* changes(text: string, { find, put, leaves }: Rule): Generator<string, void, void> {
  let now = text;
  for (let from = 0; ;) {
    find.lastIndex = from;
    const match = find.exec(now);
    if (!match) return;
    from = match.index + 1;
    if (isPrecious(now, match.index, match[0])) continue;
    const changed = without(now, match.index, match[0], put);
    if (wordsIn(changed) < leaves || changed.length >= now.length) continue;
    yield (now = changed);
    from = match.index;
  }
}

const wordsIn = (text: string) => text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0;

function isPrecious(text: string, at: number, found: string): boolean {
  if (DENIES.test(found) && !/^(?:no obstante|sin embargo)\b/iu.test(found)) return true;
  if (NUMBER.test(found)) return true;
  // Looked at in its place, since a sentence's first word has a capital as well.
  const before = text.slice(0, at);
  const starts = /(?:^|[.!?…¿¡;:]["”’»)]?)\s*$/u.test(before);
  return NAME.test(`${starts ? '' : 'x '}${found}`);
}

/** The text with `found` replaced: blanks and commas in order, the article and the first letter as what follows needs them. */
function without(text: string, at: number, found: string, put: string): string {
  const before = text.slice(0, at);
  let after = text.slice(at + found.length);
  const starts = /(?:^|[.!?…¿¡]["”’»)]?)\s*$/u.test(before);
  if (starts && /\p{Lu}/u.test(found[0] ?? '')) after = put === '' ? capitalised(after) : after;
  const lead = starts && /\p{Lu}/u.test(found[0] ?? '') ? capitalised(put) : put;
  const glue = /^[\p{L}\p{N}]/u.test(lead + after) && /[\p{L}\p{N},;:]$/u.test(before) ? ' ' : '';
  return (before + glue + lead + after)
    .replace(/\s+/g, ' ')
    .replace(/\s+(?=[,.;:!?…])/gu, '')
    .replace(/,(?=[,.;:!?…])/gu, '')
    .replace(/(?<=^|[¿¡])[\s,]+/gu, '')
    .replace(/(?<=[.!?…])\.+$/u, '')
    .replace(/\b([Aa])n?(?= ([\p{L}]))/gu, (whole, article: string, letter: string, place: number) =>
      // Only the article before what was taken away may have become wrong.
      place >= before.length - 3 && place < before.length && /^(?:a|an)$/i.test(whole)
        ? article + (/[aeiou]/i.test(letter) ? 'n' : '')
        : whole,
    )
    .trim();
}

/** What a translation is measured against. */
export interface Room {
  readonly from: Language;
  readonly to: Language;
  /** How often a text may be translated at most, the first time included. */
  readonly attempts: number;
}

/**
 * Translates an utterance so that it keeps its budget, if saying less of the source can do that: as it is first, then less
 * and less of it, only as far as needed. What costs nothing is left out when the translation is longer than its `aim`,
 * what costs a shade when it is longer than its `most`. Without a budget it is translated as it is; one that comes back as
 * too long is never made longer.
 *
 * A version is chosen by its share of the source's syllables, by rule, and then measured, so that few are translated. Of a later
 * attempt that fails nothing is heard: the best line so far stands.
 */
export async function translateWithin(
  text: string,
  { budget, tooLong }: Pick<Utterance, 'budget' | 'tooLong'>,
  translate: (text: string) => Promise<string>,
  { from, to, attempts }: Room,
): Promise<string> {
  if (!budget && !tooLong) return translate(text);
  const first = tooLong?.text ?? (await translate(text));
  let best = { line: first, measured: syllables(first, to) };
  const said = syllablesByRule(text, from);
  const most = tooLong ? Math.min(budget?.most ?? Infinity, best.measured - 1) : (budget?.most ?? Infinity);
  const aim = Math.min(budget?.aim ?? most, most);
  const goal = (cost: Cost) => (cost === 'free' && !tooLong ? aim : most);
  if (best.measured <= aim) return best.line;

  const versions = [...shorterVersions(text, from)].map((version) => ({
    ...version,
    said: syllablesByRule(version.text, from),
  }));
  const perSyllable = best.measured / Math.max(1, said);
  let left = attempts - (tooLong ? 0 : 1);
  while (versions.length > 0 && left > 0) {
    if (best.measured <= most && versions.every(({ cost }) => cost === 'shade')) break;
    // Nothing dear is tried for the sake of the aim alone.
    const affordable = best.measured <= most ? versions.filter(({ cost }) => cost === 'free') : versions;
    const fitting = affordable.findIndex((version) => version.said * perSyllable <= goal(version.cost));
    const chosen = fitting < 0 ? affordable.length - 1 : fitting;
    const version = affordable[chosen]!;
    versions.splice(0, chosen + 1);
    left -= 1;
    const line = await translate(version.text).catch((thrown: unknown) => {
      if (thrown instanceof Fault) return '';
      throw thrown;
    });
    const measured = syllables(line, to);
    if (line !== '' && measured > 0 && measured < best.measured) best = { line, measured };
    if (best.measured <= goal(version.cost)) break;
  }
  return best.line;
}

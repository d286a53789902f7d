import type { Language } from './domain.ts';

/**
 * Words that often begin a clause, by primary language subtag. A long utterance may be closed before one of them.
 *
 * For English: coordinating and subordinating conjunctions, relative and interrogative pronouns, and the discourse
 * adverbs that open a new thought. Left out are words that begin a phrase as often as a clause (`for`, `as`, `that` as
 * a determiner cannot be told from the conjunction, but `that` splits well; `to`, `of`, `with` do not).
 */
const STARTERS: Readonly<Record<string, ReadonlySet<string>>> = {
  en: new Set(
    (
      'and but or nor so yet because although though while whereas unless until since if when whenever where wherever ' +
      'which who whom whose that what why how before after then therefore however moreover meanwhile otherwise instead'
    ).split(' '),
  ),
};

const SENTENCE_END = /[.!?…。！？؟۔।॥]["'”’»」』）)\]]*$/u;
const CLAUSE_END = /[,;:、，；：،؛]["'”’»」』）)\]]*$/u;

/**
 * Words that belong to what follows, by primary language subtag: articles, prepositions, possessives, auxiliaries,
 * subject pronouns, negations. A caption's line does not end in one where that can be avoided (Netflix Timed Text Style
 * Guide, General Requirements, "Line Treatment").
 */
const BINDING: Readonly<Record<string, ReadonlySet<string>>> = sets({
  en:
    'a an the of to in on at by for from with into onto upon about over under between through against during without ' +
    'within toward towards than as my your his her its our their this that these those some any no every each ' +
    'i you he she it we they is are was were be been being am has have had do does did will would shall should can ' +
    'could may might must not very so too more most rather mister mr mrs ms dr saint st',
  es:
    'el la los las lo un una unos unas de del a al en con por para sin sobre entre hasta desde hacia según contra ' +
    'tras mi mis tu tus su sus nuestro nuestra nuestros nuestras este esta estos estas ese esa esos esas cada ' +
    'yo tú él ella nosotros ellos ellas me te se nos os le les no muy más tan es son era eran fue ha han he hemos había ' +
    'habían está están señor señora don doña',
  pt:
    'o a os as um uma uns umas de do da dos das em no na nos nas ao aos à às com por para sem sobre entre até desde ' +
    'meu minha seu sua seus suas nosso nossa este esta esse essa cada eu ele ela nós eles elas me te se não muito ' +
    'mais é são era foi tem têm está estão',
  fr:
    'le la les un une des du de à au aux en dans par pour sans sous sur chez vers entre avec contre mon ma mes ton ta ' +
    'tes son sa ses notre nos votre vos leur leurs ce cet cette ces chaque je tu il elle on nous vous ils elles me te ' +
    'se ne très plus est sont était étaient a ont avait avaient monsieur madame',
  de:
    'der die das den dem des ein eine einen einem einer eines kein keine keinen in im an am auf aus bei mit nach seit ' +
    'von vom zu zum zur für durch gegen ohne um über unter vor zwischen hinter neben mein meine sein seine ihr ihre ' +
    'unser unsere dieser diese dieses diesen jeder jede jedes ich du er sie es wir nicht sehr ist sind war waren hat ' +
    'haben hatte hatten wird werden wurde herr frau',
  it:
    'il lo la i gli le un uno una di del dello della dei degli delle a al allo alla ai agli alle da dal dalla in nel ' +
    'nella nei nelle con su sul sulla per tra fra senza mio mia suo sua nostro nostra questo questa ogni io tu lui lei ' +
    'noi voi loro mi ti si ci vi non molto più è sono era erano ha hanno aveva',
  ca:
    'el la els les un una uns unes de del dels a al als en amb per pel pels sense sobre entre fins des meu meva seu ' +
    'seva aquest aquesta cada jo tu ell ella nosaltres ells elles em et es ens us no molt més és són era ha han',
  gl:
    'o a os as un unha uns unhas de do da dos das en no na nos nas ao aos á ás con por para sen sobre entre ata desde ' +
    'meu miña seu súa este esta cada eu el ela nós eles elas me te se non moi máis é son era foi ten está',
});
/** Conjunctions and relative words, for languages where {@link STARTERS} has none: a caption may well be broken before one. */
const JOINING: Readonly<Record<string, ReadonlySet<string>>> = sets({
  es: 'y e o u pero sino ni que porque pues aunque cuando mientras donde como si quien cual cuyo entonces',
  pt: 'e ou mas nem que porque pois embora quando enquanto onde como se quem qual então',
  fr: 'et ou mais ni que qui car parce quand lorsque puisque donc si comme où dont alors tandis',
  de: 'und oder aber sondern denn dass weil wenn als ob obwohl während damit wo wie welche welcher sowie',
  it: 'e ed o ma né che perché quando mentre dove come se chi quale dunque allora',
  ca: 'i o però sinó ni que perquè quan mentre on com si qui qual doncs',
  gl: 'e ou pero senón nin que porque cando mentres onde como se quen cal entón',
});
const ABBREVIATED = /^(?:mr|mrs|ms|dr|st|sr|sra|prof|vs|\p{L})\.$/iu;

function sets(words: Readonly<Record<string, string>>): Readonly<Record<string, ReadonlySet<string>>> {
  return Object.fromEntries(Object.entries(words).map(([language, list]) => [language, new Set(list.split(' '))]));
}
const among = (table: Readonly<Record<string, ReadonlySet<string>>>, word: string, language: Language) =>
  table[language.split('-')[0]?.toLowerCase() ?? '']?.has(word.toLowerCase().replace(/[^\p{L}]/gu, '')) ?? false;

/** Whether `word` should stay with what follows it: an article, a preposition, a title, an auxiliary. */
export const bindsNext = (word: string, language: Language): boolean =>
  ABBREVIATED.test(word) || (!endsClause(word) && !endsSentence(word) && among(BINDING, word, language));
/** Whether a caption may well be broken before `word`. */
export const joins = (word: string, language: Language): boolean =>
  startsClause(word, language) || among(JOINING, word, language);

/** Whether a clause may begin at `word`. Languages without a table have no such words: there, pauses and length decide. */
export function startsClause(word: string, language: Language): boolean {
  return among(STARTERS, word, language);
}
/** For recognisers that punctuate. */
export const endsSentence = (word: string) => SENTENCE_END.test(word);
export const endsClause = (word: string) => CLAUSE_END.test(word);

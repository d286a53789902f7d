import type { Language } from '../../pipeline/domain.ts';

/**
 * ISO 639-3 codes of the languages that have a two-letter code, as FLORES-200 uses them: of a macrolanguage, the one
 * that is meant when nothing else is said (`ar` → `arb`).
 */
// prettier-ignore
const THREE: Readonly<Record<string, string>> = {
  af: 'afr', ak: 'aka', am: 'amh', ar: 'arb', as: 'asm', ay: 'ayr', az: 'azj', ba: 'bak', be: 'bel', bg: 'bul', bm: 'bam',
  bn: 'ben', bo: 'bod', bs: 'bos', ca: 'cat', cs: 'ces', cy: 'cym', da: 'dan', de: 'deu', dz: 'dzo', ee: 'ewe', el: 'ell',
  en: 'eng', eo: 'epo', es: 'spa', et: 'est', eu: 'eus', fa: 'pes', ff: 'fuv', fi: 'fin', fil: 'tgl', fj: 'fij', fo: 'fao',
  fr: 'fra', ga: 'gle', gd: 'gla', gl: 'glg', gn: 'grn', gu: 'guj', ha: 'hau', he: 'heb', hi: 'hin', hr: 'hrv', ht: 'hat',
  hu: 'hun', hy: 'hye', id: 'ind', ig: 'ibo', is: 'isl', it: 'ita', iw: 'heb', ja: 'jpn', jv: 'jav', ka: 'kat', kg: 'kon',
  ki: 'kik', kk: 'kaz', km: 'khm', kn: 'kan', ko: 'kor', ks: 'kas', ku: 'kmr', ky: 'kir', lb: 'ltz', lg: 'lug', li: 'lim',
  ln: 'lin', lo: 'lao', lt: 'lit', lv: 'lvs', mg: 'plt', mi: 'mri', mk: 'mkd', ml: 'mal', mn: 'khk', mr: 'mar', ms: 'zsm',
  mt: 'mlt', my: 'mya', nb: 'nob', ne: 'npi', nl: 'nld', nn: 'nno', no: 'nob', ny: 'nya', oc: 'oci', om: 'gaz', or: 'ory',
  pa: 'pan', pl: 'pol', ps: 'pbt', pt: 'por', qu: 'quy', rn: 'run', ro: 'ron', ru: 'rus', rw: 'kin', sa: 'san', sc: 'srd',
  sd: 'snd', sg: 'sag', si: 'sin', sk: 'slk', sl: 'slv', sm: 'smo', sn: 'sna', so: 'som', sq: 'als', sr: 'srp', ss: 'ssw',
  st: 'sot', su: 'sun', sv: 'swe', sw: 'swh', ta: 'tam', te: 'tel', tg: 'tgk', th: 'tha', ti: 'tir', tk: 'tuk', tl: 'tgl',
  tn: 'tsn', tr: 'tur', ts: 'tso', tt: 'tat', tw: 'twi', ug: 'uig', uk: 'ukr', ur: 'urd', uz: 'uzn', vi: 'vie', wo: 'wol',
  xh: 'xho', yi: 'ydd', yo: 'yor', zh: 'zho', zu: 'zul',
};
/** Scripts that FLORES-200 calls otherwise than CLDR does. */
const SCRIPTS: Readonly<Record<string, string>> = { Kore: 'Hang' };

/**
 * FLORES-200's code of a language, of those a model knows: `eng_Latn`, `zho_Hant`.
 *
 * The script is the one that is named, else the one the language is mostly written in there (`zh-TW` → Hant).
 *
 * @see https://github.com/facebookresearch/flores/blob/main/flores200/README.md
 */
export function floresCode(language: Language, known: Iterable<string>): string | undefined {
  const codes = [...known];
  const [base = ''] = language.toLowerCase().split('-');
  const three = THREE[base] ?? base;
  const script = scriptOf(language);
  const exact = `${three}_${SCRIPTS[script] ?? script}`;
  if (codes.includes(exact)) return exact;
  const only = codes.filter((code) => code.startsWith(`${three}_`));
  return only.length === 1 ? only[0] : undefined;
}

/** Languages that M2M100 calls otherwise. */
const M2M100: Readonly<Record<string, string>> = { nb: 'no', nn: 'no', iw: 'he', fil: 'tl', nso: 'ns', zsm: 'ms' };

/** M2M100's code of a language, of those a model knows: two letters, mostly. */
export function m2m100Code(language: Language, known: Iterable<string>): string | undefined {
  const [base = ''] = language.toLowerCase().split('-');
  const code = M2M100[base] ?? base;
  return [...known].find((each) => each === code);
}

/** The script a language is mostly written in; empty for what is no language tag. */
function scriptOf(language: Language): string {
  try {
    return new Intl.Locale(language).maximize().script ?? '';
  } catch {
    return '';
  }
}

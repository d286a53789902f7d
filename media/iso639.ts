/**
 * The three letters by which MP4 and Matroska label a track's language (ISO 639-2/T) for a BCP 47 tag; `und` where we
 * know none. A language that has only a three-letter code keeps it.
 */
export function iso639(tag: string): string {
  const language = tag.split('-')[0]?.toLowerCase() ?? '';
  return language.length === 3 ? language : (THREE[language] ?? 'und');
}

// prettier-ignore
const THREE: Readonly<Record<string, string>> = {
  an: 'arg', ar: 'ara', bg: 'bul', br: 'bre', bs: 'bos', ca: 'cat', cs: 'ces', cy: 'cym', da: 'dan', de: 'deu', el: 'ell',
  en: 'eng', eo: 'epo', es: 'spa', et: 'est', eu: 'eus', fa: 'fas', fi: 'fin', fr: 'fra', ga: 'gle', gl: 'glg', he: 'heb',
  hi: 'hin', hr: 'hrv', hu: 'hun', id: 'ind', is: 'isl', it: 'ita', ja: 'jpn', ko: 'kor', lt: 'lit', lv: 'lav', mk: 'mkd',
  nb: 'nob', nl: 'nld', nn: 'nno', no: 'nor', oc: 'oci', pl: 'pol', pt: 'por', ro: 'ron', ru: 'rus', sc: 'srd', sk: 'slk', sl: 'slv',
  sq: 'sqi', sr: 'srp', sv: 'swe', th: 'tha', tr: 'tur', uk: 'ukr', vi: 'vie', zh: 'zho',
};

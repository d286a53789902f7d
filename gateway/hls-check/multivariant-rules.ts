import { writing } from './playlist-rules.ts';
import type { Media, Multivariant, Variant } from './m3u8.ts';
import { type Find, type Finding, finder } from './rules.ts';

const TYPES = new Set(['AUDIO', 'VIDEO', 'SUBTITLES', 'CLOSED-CAPTIONS']);
const PICTURES = /^(avc|hvc|hev|vp0|av01|dvh|mp4v)/u;

/** What a multivariant playlist breaks by itself. */
export function multivariantFindings(playlist: Multivariant): Finding[] {
  const find = finder('multivariant');
  const { media, variants, iFrames } = playlist;
  return [
    ...writing(playlist, find),
    ...(variants.length === 0 ? [find('no-variant', 'no EXT-X-STREAM-INF')] : []),
    ...variants.flatMap((variant) => variantFindings(variant, media, find)),
    ...captionsMixed(variants, find),
    ...media.flatMap((one) => mediaFindings(one, variants, find)),
    ...groups(media, find),
    ...(variants.filter(({ codecs }) => codecs?.some(isPicture) !== false).length === 1
      ? [find('one-rate', 'one variant')]
      : []),
    ...(iFrames === 0 && variants.some(({ codecs }) => codecs?.some(isPicture)) ? [find('no-i-frames', 'none')] : []),
  ];
}
export const isPicture = (codec: string): boolean => PICTURES.test(codec);

function variantFindings(variant: Variant, media: readonly Media[], find: Find): Finding[] {
  const all: Finding[] = [];
  const { line, uri, bandwidth, average, codecs, size, rate, attributes } = variant;
  const at = `line ${line}`;
  if (uri === undefined) all.push(find('no-variant', `${at}: no URI behind EXT-X-STREAM-INF`));
  if (bandwidth === undefined) all.push(find('bandwidth-missing', at));
  if (average === undefined) all.push(find('average-missing', at));
  if (codecs === undefined) all.push(find('codecs-missing', at));
  if (codecs === undefined || codecs.some(isPicture)) {
    if (size === undefined) all.push(find('resolution-missing', at));
    if (rate === undefined) all.push(find('rate-missing', at));
  }
  for (const type of TYPES) {
    const group = attributes.get(type);
    if (!group || (type === 'CLOSED-CAPTIONS' && !group.quoted)) continue;
    if (!media.some((one) => one.type === type && one.group === group.text))
      all.push(find('group-missing', `${at}: ${type}="${group.text}"`));
  }
  return all;
}

function captionsMixed(variants: readonly Variant[], find: Find): Finding[] {
  const none = variants.filter(({ attributes }) => attributes.get('CLOSED-CAPTIONS')?.text === 'NONE').length;
  return none > 0 && none < variants.length
    ? [find('captions-mixed', `NONE in ${none} of ${variants.length} variants`)]
    : [];
}

function mediaFindings(media: Media, variants: readonly Variant[], find: Find): Finding[] {
  const all: Finding[] = [];
  const { line, type, group, name, language, uri, preferred, autoselect, attributes } = media;
  const at = `line ${line}: ${name ?? '?'}`;
  const lacks = [!TYPES.has(type ?? '') && 'TYPE', group === undefined && 'GROUP-ID', name === undefined && 'NAME'];
  if (type === 'SUBTITLES' && uri === undefined) lacks.push('URI');
  const missing = lacks.filter((one) => one !== false);
  if (missing.length > 0) all.push(find('media-incomplete', `${at}: no ${missing.join(', ')}`));
  if (preferred && !autoselect && attributes.has('AUTOSELECT')) all.push(find('default-hidden', at));
  if (type !== 'VIDEO') {
    if (language === undefined) all.push(find('language-missing', at));
    else if (!isTag(language)) all.push(find('language-bad', `${at}: "${language}"`));
  }
  if (type === 'AUDIO' && !attributes.has('CHANNELS')) all.push(find('channels-missing', at));
  if (type !== undefined && !variants.some(({ attributes: of }) => of.get(type)?.text === group))
    all.push(find('group-unused', `${at}: ${type} group "${group}"`));
  return all;
}

function isTag(language: string): boolean {
  try {
    return Intl.getCanonicalLocales(language).length === 1;
  } catch {
    return false;
  }
}

function groups(media: readonly Media[], find: Find): Finding[] {
  const all: Finding[] = [];
  const byGroup = new Map<string, Media[]>();
  for (const one of media) {
    const key = `${one.type} "${one.group}"`;
    byGroup.set(key, [...(byGroup.get(key) ?? []), one]);
  }
  for (const [key, members] of byGroup) {
    const names = members.map(({ name }) => name);
    const twice = names.find((name, n) => name !== undefined && names.indexOf(name) !== n);
    if (twice !== undefined) all.push(find('name-twice', `${key}: ${twice}`));
    const preferred = members.filter((one) => one.preferred).length;
    if (preferred > 1) all.push(find('default-twice', `${key}: ${preferred} are DEFAULT`));
  }
  for (const type of ['AUDIO', 'VIDEO', 'SUBTITLES']) {
    const members = [...byGroup].filter(([key]) => key.startsWith(`${type} `));
    const sets = members.map(([, each]) => JSON.stringify(each.map(({ name }) => name ?? '').sort()));
    if (new Set(sets).size > 1) all.push(find('groups-differ', members.map(([key]) => key).join(' and ')));
  }
  return all;
}

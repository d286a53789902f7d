import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.ts';
import type { Version } from './change-rules.ts';
import { deliveryFindings } from './delivery-rules.ts';
import { Follower } from './follower.ts';
import type { Taken, Watch } from './watch.ts';
import { type Found, type Edges, bitsOf, claimFindings, groupFindings, reportFindings } from './group-rules.ts';
import { parsePlaylist } from './m3u8-parser.ts';
import { type Multivariant, edgeOf } from './m3u8.ts';
import { multivariantFindings } from './multivariant-rules.ts';
import { type Punctuality, punctualityOf } from './punctuality.ts';
import { type Finding, RULES, type RuleId, type Severity } from './rules.ts';

export interface CheckOptions {
  /** How long a live presentation is watched. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (fraction: number, said: string) => void;
  readonly onPiece?: (taken: Taken) => void;
}
/** A rule that was broken, how often, and how it looked at first. */
export interface Counted {
  readonly rule: RuleId;
  readonly severity: Severity;
  readonly section: string;
  readonly where: string;
  readonly seen: string;
  readonly count: number;
  readonly fix: string;
}
export interface CheckedRendition {
  readonly at: string;
  readonly url: string;
  readonly kind: 'pictures' | 'sound' | 'captions';
  readonly language: string | null;
  readonly name: string | null;
  readonly versions: number;
  readonly pieces: number;
  /** Of media or captions, as their playlists say. */
  readonly seconds: number;
  readonly discontinuities: number;
  readonly cues: number;
  readonly kbits: number | null;
  /** `null` of what is finished: nothing is waited for. */
  readonly punctuality: Punctuality | null;
}
export interface Checked {
  readonly url: string;
  readonly seconds: number;
  readonly live: boolean;
  /** Parts and blocking reloads. */
  readonly lowLatency: boolean;
  readonly partTarget: number | null;
  readonly target: number | null;
  readonly requests: number;
  readonly bytes: number;
  readonly renditions: readonly CheckedRendition[];
  readonly findings: readonly Counted[];
}

/** There is nothing to check. */
export class NothingThere extends Error {
  override readonly name = 'NothingThere';
}

/** Findings of one rule and place as one, worst first. */
export class Tally {
  readonly #all = new Map<string, { readonly finding: Finding; count: number }>();
  readonly tell = (findings: readonly Finding[]): void => {
    for (const finding of findings) {
      const known = this.#all.get(`${finding.rule} ${finding.where}`);
      if (known) known.count += 1;
      else this.#all.set(`${finding.rule} ${finding.where}`, { finding, count: 1 });
    }
  };
  get counted(): Counted[] {
    const order = ['error', 'warning', 'note'];
    return [...this.#all.values()]
      .map(({ finding: { rule, where, seen }, count }) => ({ rule, ...RULES[rule], where, seen, count }))
      .sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  }
}

interface Wanted {
  readonly url: string;
  readonly kind: CheckedRendition['kind'];
  readonly language: string | null;
  readonly name: string | null;
}

/** Watches a presentation as a player on another site does, every rendition at once, and holds it against the rules. */
export async function checkHls(url: string, options: CheckOptions): Promise<Checked> {
  const { seconds, signal, onProgress, onPiece } = options;
  const client = new Client(signal);
  const tally = new Tally();
  const began = performance.now();
  const multivariant = await multivariantOf(client, url, tally);
  const wanted: readonly Wanted[] = multivariant
    ? renditionsOf(multivariant, url)
    : [{ url, kind: 'pictures', language: null, name: null }];
  const edges = new Map<string, { readonly at: number; readonly number: number; readonly part: number }[]>();
  const until = performance.now() + seconds * 1_000;
  const followers: Follower[] = [];
  const watch: Watch = {
    client,
    tell: tally.tell,
    onPiece,
    independent: multivariant?.independent === true,
    offset: (era) => followers.find(({ captions }) => !captions)?.trail.offsets.get(era),
    until: () => until,
    onVersion: (which, version) => tally.tell(reports(which, version, edges, nameIn(which, url))),
  };
  for (const { url: own, kind } of wanted)
    followers.push(new Follower(own, nameIn(own, url), kind === 'captions', watch));
  let over = false;
  const watching = Promise.all(followers.map((follower) => follower.run())).finally(() => (over = true));
  watching.catch(() => {});
  while (!over) {
    await Promise.race([watching.catch(() => {}), sleep(500, undefined, { signal })]);
    const passed = Math.min(1, (performance.now() - began) / (seconds * 1_000));
    const pieces = followers.reduce((sum, one) => sum + one.pieces, 0);
    const broken = tally.counted.filter(({ severity }) => severity === 'error').length;
    if (!over) onProgress?.(passed, `${followers.length} playlists, ${pieces} parts, ${broken} errors`);
  }
  await watching;
  const checked = wanted.map((one, n) => ({ wanted: one, follower: followers[n]! }));
  const found = new Map(checked.flatMap(({ follower }): [string, Found][] => foundOf(follower)));
  tally.tell(groupFindings([...found.values()]));
  // Rates are known better now than when the watch began, and so they are said again.
  const last = multivariant && ((await multivariantOf(client, url, new Tally())) ?? multivariant);
  for (const variant of last?.variants ?? []) {
    const own = variant.uri === undefined ? undefined : found.get(new URL(variant.uri, url).href);
    const sounds = last!.media.flatMap((media) => {
      if (media.type !== 'AUDIO' || media.group !== variant.attributes.get('AUDIO')?.text || !media.uri) return [];
      const one = found.get(new URL(media.uri, url).href);
      return one && one !== own ? [[media, one] as const] : [];
    });
    tally.tell(claimFindings(variant, own, sounds, last?.independent === true));
  }
  const leading = followers.find(({ playlist }) => playlist)?.playlist;
  const renditions = checked.map(({ wanted: one, follower }) => renditionOf(one, follower));
  for (const { at, punctuality } of renditions)
    if (punctuality && punctuality.starved > 0)
      tally.tell([
        { rule: 'starved', where: at, seen: `${punctuality.starved} of ${punctuality.parts} came too late` },
      ]);
  return {
    url,
    seconds: (performance.now() - began) / 1_000,
    live: leading?.ended === false,
    lowLatency: leading?.partTarget !== undefined,
    partTarget: leading?.partTarget ?? null,
    target: leading?.target ?? null,
    requests: client.requests,
    bytes: client.bytes,
    renditions,
    findings: tally.counted,
  };
}

async function multivariantOf(client: Client, url: string, tally: Tally): Promise<Multivariant | undefined> {
  const got = await client.get(url);
  if (got.status !== 200) throw new NothingThere(`${url} answers ${got.status || got.header('') || 'nothing'}.`);
  const playlist = parsePlaylist(new TextDecoder().decode(got.body));
  if (playlist.troubles.some(({ what }) => what === 'header')) throw new NothingThere(`${url} is no HLS playlist.`);
  if (playlist.kind === 'media') return undefined;
  const asked = { what: 'multivariant', live: false, fresh: 0 } as const;
  tally.tell([...deliveryFindings(got, asked, 'multivariant'), ...multivariantFindings(playlist)]);
  return playlist;
}

/** Every playlist once, pictures first. */
function renditionsOf({ variants, media }: Multivariant, url: string): Wanted[] {
  const all = new Map<string, Wanted>();
  const add = (uri: string, kind: Wanted['kind'], language: string | null, name: string | null) => {
    const { href } = new URL(uri, url);
    if (!all.has(href)) all.set(href, { url: href, kind, language, name });
  };
  for (const one of media) {
    const kind = one.type === 'AUDIO' ? 'sound' : one.type === 'SUBTITLES' ? 'captions' : 'pictures';
    if (one.uri !== undefined) add(one.uri, kind, one.language ?? null, one.name ?? null);
  }
  for (const { uri } of variants) if (uri !== undefined) add(uri, 'pictures', null, null);
  const order = ['pictures', 'sound', 'captions'];
  return [...all.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** `video/index.m3u8` of what lies beside the multivariant playlist. */
function nameIn(url: string, of: string): string {
  const folder = new URL('.', of).pathname;
  const { pathname } = new URL(url);
  return pathname.startsWith(folder) ? pathname.slice(folder.length) : pathname;
}

/** A report may be as old as a part and what the network takes. */
const OLD = 250;
function reports(
  url: string,
  { at, playlist }: Version,
  edges: Map<string, ({ at: number } & NonNullable<ReturnType<typeof edgeOf>>)[]>,
  name: string,
): Finding[] {
  const edge = edgeOf(playlist);
  if (edge) edges.set(url, [...(edges.get(url) ?? []).slice(-32), { at, ...edge }]);
  const since = at - (playlist.partTarget ?? 0) * 1_000 - OLD;
  const known: Edges = new Map(
    [...edges].flatMap(([other, all]) => {
      const last = all.findLast((one) => one.at < since);
      return last ? [[other, last] as const] : [];
    }),
  );
  return reportFindings(playlist, url, known, name);
}

function foundOf(follower: Follower): [string, Found][] {
  const { url, at, playlist, captions, trail, inits, sizes } = follower;
  if (!playlist) return [];
  const found: Found = {
    ...{ at, url, playlist, captions, offsets: trail.offsets },
    inits: [...inits.values()].flatMap(({ init }) => init ?? []),
    rate: trail.seconds > 0 ? trail.samples / trail.seconds : undefined,
    bits: bitsOf(sizes, playlist.target ?? 6),
  };
  return [[url, found]];
}

function renditionOf({ url, kind, language, name }: Wanted, follower: Follower): CheckedRendition {
  const { at, playlist, versions, pieces, arrivals, discontinuities, cues, sizes } = follower;
  const { partTarget, target = 6, control } = playlist ?? {};
  const holdBack = partTarget === undefined ? (control?.holdBack ?? 3 * target) : control?.partHoldBack;
  const late = (partTarget ?? target) * 1_000;
  const live = follower.followedLive;
  const bits = bitsOf(sizes, target);
  return {
    ...{ at, url, kind, language, name, versions, pieces, discontinuities },
    seconds: arrivals.reduce((sum, { start, end }) => sum + (end - start), 0) / 1_000,
    cues: cues.size,
    kbits: bits ? bits.average / 1_000 : null,
    punctuality: live
      ? (punctualityOf(arrivals.slice(live.from), late, holdBack === undefined ? undefined : holdBack * 1_000) ?? null)
      : null,
  };
}

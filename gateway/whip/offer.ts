import { type Refusal, refuse } from '../refusal.ts';
import type { DtlsParameters } from '../sfu.ts';
import { type Codec, codecsOf } from './codec.ts';
import type { FragmentSection } from './fragment.ts';
import { type Description, type Section, malformed, readSdp, valueOf, valuesOf } from './sdp.ts';

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
/** RFC 8285 §5. */
export interface Extension {
  readonly id: number;
  readonly uri: string;
  /** Only the client sends it. */
  readonly oneWay: boolean;
}
/** A section with sound or pictures that can be answered. */
export interface OfferedTrack {
  readonly kind: 'audio' | 'video';
  readonly section: Section;
  readonly mid: string | undefined;
  readonly direction: Direction;
  readonly codecs: readonly Codec[];
  readonly extensions: readonly Extension[];
  readonly source: { readonly ssrc: number; readonly rtx: number | undefined; readonly cname: string } | undefined;
  /** Layers of a simulcast, or the one stream, by name (RFC 8851), the best first. */
  readonly layers: readonly string[];
}
/** What a client offers, checked; everything is on one transport. */
export interface Offer {
  readonly sections: readonly Section[];
  /** One per section; nothing where the section can only be turned down: data, media of other kinds, other protocols. */
  readonly tracks: readonly (OfferedTrack | undefined)[];
  readonly ice: { readonly ufrag: string; readonly pwd: string };
  readonly dtls: DtlsParameters;
  /** What the transport is described under. */
  readonly section: FragmentSection;
  /** The mids of its bundle, if it names one, in its order. */
  readonly bundle: readonly string[] | undefined;
  readonly mixedExtensions: boolean;
  readonly trickles: boolean;
}

const PROTOCOLS = ['UDP/TLS/RTP/SAVPF', 'TCP/TLS/RTP/SAVPF', 'TCP/DTLS/RTP/SAVPF', 'RTP/SAVPF'];
/** Those that mediasoup knows; RFC 8122 §5 adds others. */
const HASHES = { 'sha-1': 20, 'sha-224': 28, 'sha-256': 32, 'sha-384': 48, 'sha-512': 64 } as const;
const DIRECTIONS: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

const unfit = (message: string, fix: string): Refusal => refuse('unsupported', message, 'body', fix);

/** @throws Refusal `invalid` for what is no session description, `unsupported` for one this gateway cannot answer */
export function readOffer(text: string): Offer {
  const description = readSdp(text);
  const { sections } = description;
  if (sections.length === 0) throw malformed('it has no m-line');
  const tracks = sections.map((section) => trackOf(section, description));
  const bundle = bundleOf(description, tracks);
  const inOrder = bundle?.flatMap((mid) => tracks.filter((track) => track?.mid === mid)) ?? tracks;
  const first = inOrder.find((track) => track !== undefined);
  if (!first) throw unfit('There is no sound and no picture in the offer.', 'Offer m=audio or m=video over DTLS-SRTP.');
  if (valueOf(description, 'ice-lite') !== undefined)
    throw unfit('The offer has a=ice-lite, as the gateway has: nobody would look for the other.', 'Offer full ICE.');
  // Everything about the transport is in the first section of the bundle, be it sound, pictures or data (RFC 9143 §7.1.3);
  // what is under an m-line goes before what is under none.
  const bundled = bundle?.flatMap((mid) => sections.filter((section) => valueOf(section, 'mid') === mid));
  const tagged = bundled?.find((section) => !isOff(section)) ?? first.section;
  const transport = (name: string) =>
    [tagged, first.section, description].map((part) => valuesOf(part, name)).find((values) => values.length > 0) ?? [];
  return {
    sections,
    tracks,
    ice: iceOf(transport('ice-ufrag')[0], transport('ice-pwd')[0]),
    dtls: dtlsOf(transport('setup')[0], transport('fingerprint')),
    section: { ...first.section, mid: first.mid },
    bundle,
    mixedExtensions: valueOf(description, 'extmap-allow-mixed') !== undefined,
    // RFC 8839 §5.6 has blanks between them, libdatachannel commas.
    trickles: transport('ice-options').some((options) => options.split(/[ ,]/).includes('trickle')),
  };
}

/** RFC 9143 §6: a bundle-only section has port 0 too. */
const isOff = (section: Section) => section.port === 0 && valueOf(section, 'bundle-only') === undefined;

function trackOf(section: Section, description: Description): OfferedTrack | undefined {
  const { media, protocol } = section;
  if ((media !== 'audio' && media !== 'video') || !PROTOCOLS.includes(protocol) || isOff(section)) return undefined;
  if (valueOf(section, 'rtcp-mux') === undefined && valueOf(section, 'rtcp-mux-only') === undefined)
    throw unfit(`The ${media} m-line has no a=rtcp-mux.`, 'Offer RTP and RTCP on one port: rtcpMuxPolicy "require".');
  const named = [...section.attributes, ...description.attributes].find(({ name }) =>
    (DIRECTIONS as readonly string[]).includes(name),
  );
  return {
    kind: media,
    section,
    mid: valueOf(section, 'mid'),
    direction: (named?.name ?? 'sendrecv') as Direction,
    codecs: codecsOf(section),
    extensions: extensionsOf([...valuesOf(section, 'extmap'), ...valuesOf(description, 'extmap')]),
    source: sourceOf(section),
    layers: layersOf(section),
  };
}

/** The mids of the bundle that everything is in. */
function bundleOf(
  description: Description,
  tracks: readonly (OfferedTrack | undefined)[],
): readonly string[] | undefined {
  const named = description.sections.flatMap((section) => valuesOf(section, 'mid').slice(0, 1));
  if (!named.every((mid) => /^[\w!#$%&'*+.^`{|}~-]{1,32}$/.test(mid))) throw malformed('an a=mid is not a token');
  if (new Set(named).size < named.length) throw malformed('two m-lines have the same a=mid');
  const mids = tracks.flatMap((track) => (track ? [track.mid] : []));
  if (mids.length > 1 && mids.includes(undefined)) throw malformed('an m-line has no a=mid');
  const groups = valuesOf(description, 'group').map((value) => value.trim().split(/\s+/));
  const bundle = groups.find(([semantics]) => semantics === 'BUNDLE')?.slice(1);
  if (bundle === undefined && mids.length === 1) return undefined;
  if (!mids.every((mid) => mid !== undefined && bundle?.includes(mid)))
    throw unfit(
      'Not everything in the offer is in one BUNDLE group.',
      'Offer everything on one transport: bundlePolicy "max-bundle".',
    );
  return bundle && [...new Set(bundle)];
}

function extensionsOf(maps: readonly string[]): Extension[] {
  const extensions = maps.map((map) => {
    const [, id, direction, uri = ''] = /^(\d{1,5})(?:\/(\w+))? (\S+)/.exec(map) ?? [];
    if (id === undefined || Number(id) < 1 || Number(id) > 4_351) throw malformed('an a=extmap is not "<id> <uri>"');
    return { id: Number(id), uri, direction };
  });
  // Ids from 256 on are for mapping to others later (RFC 8285 §7); ids from 15 on need the two-byte form.
  const usable = extensions
    .filter(({ id, direction }) => id < 256 && direction !== 'recvonly' && direction !== 'inactive')
    .map(({ id, uri, direction }): Extension => ({ id, uri, oneWay: direction === 'sendonly' }));
  if (new Set(usable.map(({ id }) => id)).size < usable.length) throw malformed('two a=extmap have the same id');
  return usable;
}

/** The one SSRC of a section and that of its retransmissions. @throws Refusal when there is more than one track in it */
function sourceOf(section: Section): OfferedTrack['source'] {
  const ssrcs: number[] = [];
  let cname = '';
  for (const value of valuesOf(section, 'ssrc')) {
    const [, id = '', of] = /^(\d{1,10})(?: cname:(\S{1,255}))?/.exec(value) ?? [];
    const ssrc = Number(id);
    if (ssrc < 1 || ssrc > 0xffff_ffff) throw malformed('an a=ssrc has no SSRC');
    if (!ssrcs.includes(ssrc)) ssrcs.push(ssrc);
    cname ||= of ?? '';
  }
  const groups = valuesOf(section, 'ssrc-group').map((value) => value.trim().split(/\s+/));
  const repairs = groups.flatMap(([semantics, ...of]) => (semantics === 'SIM' ? [] : of.slice(1).map(Number)));
  const [ssrc, second] = ssrcs.filter((each) => !repairs.includes(each));
  if (second !== undefined)
    throw unfit(
      `The ${section.media} m-line carries several tracks or layers by SSRC.`,
      'Send one track per m-line (Unified Plan), and one layer of it.',
    );
  if (ssrc === undefined) return undefined;
  const pair = groups.find(([semantics, of]) => semantics === 'FID' && Number(of) === ssrc)?.[2];
  const rtx = pair !== undefined && ssrcs.includes(Number(pair)) ? Number(pair) : undefined;
  return { ssrc, rtx, cname };
}

/** Names that say how good a layer is, in sets that are used together. */
const NAMED_BEST = [
  ['f', 'h', 'q'],
  ['h', 'm', 'l'],
  ['high', 'medium', 'mid', 'low'],
];

/**
 * The names of what is sent and not paused (RFC 8853 §5.1); the best layer first, by their names, else as listed: the
 * preferred first.
 */
function layersOf(section: Section): string[] {
  const sent = valuesOf(section, 'rid').flatMap((value) => {
    const [, name, direction] = /^([A-Za-z0-9_-]{1,255}) (send|recv)\b/.exec(value) ?? [];
    if (name === undefined) throw malformed('an a=rid is not "<name> send" or "<name> recv"');
    return direction === 'send' ? [name] : [];
  });
  const paused = valuesOf(section, 'simulcast').flatMap((value) => value.match(/(?<=~)[\w-]+/g) ?? []);
  const flowing = sent.filter((name) => !paused.includes(name));
  const names = flowing.length > 0 ? flowing : sent;
  const set = names.length > 1 ? NAMED_BEST.find((each) => names.every((name) => each.includes(name))) : undefined;
  return set ? names.sort((a, b) => set.indexOf(a) - set.indexOf(b)) : names;
}

export function iceOf(ufrag: string | undefined, pwd: string | undefined): Offer['ice'] {
  // RFC 8839 §5.4.
  const text = /^[A-Za-z0-9+/]+$/;
  if (ufrag === undefined || !text.test(ufrag) || ufrag.length < 4 || ufrag.length > 256)
    throw malformed('a=ice-ufrag is missing or not of 4 to 256 letters');
  if (pwd === undefined || !text.test(pwd) || pwd.length < 22 || pwd.length > 256)
    throw malformed('a=ice-pwd is missing or not of 22 to 256 letters');
  return { ufrag, pwd };
}

function dtlsOf(setup: string | undefined, given: readonly string[]): DtlsParameters {
  const fingerprints = given.flatMap((text) => {
    const [algorithm = '', value = ''] = text.trim().split(/\s+/);
    const name = algorithm.toLowerCase();
    if (!Object.hasOwn(HASHES, name)) return [];
    const length = HASHES[name as keyof typeof HASHES];
    if (!new RegExp(`^[\\da-f]{2}(:[\\da-f]{2}){${length - 1}}$`, 'i').test(value))
      throw malformed('a=fingerprint is not one of its kind');
    return [{ algorithm: name as keyof typeof HASHES, value: value.toUpperCase() }];
  });
  // mediasoup looks at the first alone; all are of one certificate, so the strongest it is (RFC 8122 §5).
  fingerprints.sort((a, b) => HASHES[b.algorithm] - HASHES[a.algorithm]);
  if (fingerprints.length === 0)
    throw unfit(
      'The offer has no a=fingerprint that this gateway can check.',
      'Offer DTLS with a SHA-256 fingerprint.',
    );
  // RFC 9725 §4.4.3: the client offers actpass and the gateway waits for its hello.
  if (setup !== undefined && !['actpass', 'active', 'passive'].includes(setup))
    throw unfit(`The offer has a=setup:${setup.slice(0, 20)}.`, 'Offer a=setup:actpass.');
  return { role: setup === 'passive' ? 'server' : 'client', fingerprints };
}

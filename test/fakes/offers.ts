import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Room } from '../../gateway/room.ts';
import type { RtpCapabilities, RtpParameters } from '../../gateway/sfu.ts';
import type { Transport } from '../../gateway/whip/answer.ts';
import { readOffer } from '../../gateway/whip/offer.ts';
import { publish } from '../../gateway/whip/publish.ts';
import type { Resource } from '../../gateway/whip/resource.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/sdp');
/** What real clients offer, by name. */
export const OFFERS: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sdp'))
    .map((file) => [file.slice(0, -'.sdp'.length), readFileSync(join(FOLDER, file), 'utf8')]),
);
export const offered = (name: string): string => {
  const text = OFFERS[name];
  if (text === undefined) throw new RangeError(`There is no offer '${name}'`);
  return text;
};

/** What a router of the gateway says that it takes. */
export const CAPABILITIES = JSON.parse(readFileSync(join(FOLDER, 'capabilities.json'), 'utf8')) as RtpCapabilities;

export const TRANSPORT: Transport = {
  iceParameters: { usernameFragment: 'gatewayufrag', password: 'gatewaypasswordofenough', iceLite: true },
  iceCandidates: [
    {
      foundation: 'udpcandidate',
      priority: 1_076_302_079,
      address: '127.0.0.1',
      ip: '127.0.0.1',
      protocol: 'udp',
      port: 40_001,
      type: 'host',
    },
    {
      foundation: 'tcpcandidate',
      priority: 1_076_276_479,
      address: '127.0.0.1',
      ip: '127.0.0.1',
      protocol: 'tcp',
      port: 40_002,
      type: 'host',
      tcpType: 'passive',
    },
    {
      foundation: 'udpcandidate',
      priority: 1_076_302_000,
      address: '2001:db8::1',
      ip: '2001:db8::1',
      protocol: 'udp',
      port: 40_003,
      type: 'host',
    },
  ],
  dtlsParameters: {
    role: 'auto',
    fingerprints: [
      { algorithm: 'sha-1', value: Array.from({ length: 20 }, () => '0A').join(':') },
      { algorithm: 'sha-256', value: Array.from({ length: 32 }, () => '0A').join(':') },
    ],
  },
};

export interface Published {
  readonly answer: string;
  /** What mediasoup is told. */
  readonly taken: readonly { readonly kind: 'audio' | 'video'; readonly rtpParameters: RtpParameters }[];
}
/** The gateway's answer to a publisher, with an SFU that takes what it is told. @throws Refusal as the gateway does */
export async function published(text: string): Promise<Published> {
  const taken: { kind: 'audio' | 'video'; rtpParameters: RtpParameters }[] = [];
  const room = {
    capabilities: CAPABILITIES,
    transport: async () => TRANSPORT,
    publish: async (_: unknown, kind: 'audio' | 'video', rtpParameters: RtpParameters) =>
      void taken.push({ kind, rtpParameters }),
  };
  const resource = { transport: TRANSPORT, use: async () => {}, standing: () => {} };
  const answer = await publish(readOffer(text), room as unknown as Room, resource as unknown as Resource);
  return { answer, taken };
}

/** One m-line and what is under it, as a reader sees it that knows nothing of ours. */
export interface Part {
  readonly media: string;
  readonly port: number;
  readonly protocol: string;
  readonly formats: readonly string[];
  readonly lines: readonly string[];
}
/** Cuts a description at its m-lines: `[before the first, part, …]`. */
export function parts(text: string): { readonly head: readonly string[]; readonly parts: readonly Part[] } {
  const [head = '', ...rest] = text.split(/\r?\n(?=m=)/);
  return {
    head: head.split(/\r?\n/),
    parts: rest.map((section) => {
      const [first = '', ...lines] = section.trimEnd().split(/\r?\n/);
      const [media = '', port, protocol = '', ...formats] = first.slice(2).split(' ');
      return { media, port: Number(port), protocol, formats, lines };
    }),
  };
}
/** The values of `a=name:…` (or `''` for `a=name`). */
export const attributes = (lines: readonly string[], name: string): string[] =>
  lines
    .filter((line) => line === `a=${name}` || line.startsWith(`a=${name}:`))
    .map((line) => line.slice(`a=${name}:`.length));

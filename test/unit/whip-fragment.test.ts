import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../gateway/refusal.ts';
import { readFragment, writeFragment } from '../../gateway/whip/fragment.ts';
import { OFFERS, TRANSPORT, attributes, offered, parts } from '../fakes/offers.ts';

/** What a client that made an offer would send of its candidates (RFC 8840 §9, RFC 9725 §4.3.2). */
function fragmentOf(offer: string): string {
  const { head, parts: sections } = parts(offer);
  const [ufrag, pwd] = ['ice-ufrag', 'ice-pwd'].map(
    (name) => sections.flatMap(({ lines }) => attributes(lines, name))[0] ?? attributes(head, name)[0],
  );
  const media = sections.map(({ media, lines }) => [
    `m=${media} 9 RTP/AVP 0`,
    ...attributes(lines, 'mid').map((mid) => `a=mid:${mid}`),
    ...attributes(lines, 'candidate').map((candidate) => `a=candidate:${candidate}`),
    'a=end-of-candidates',
  ]);
  return [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, ...media.flat(), ''].join('\r\n');
}
const candidatesIn = (text: string) => text.split('\n').filter((line) => line.startsWith('a=candidate:')).length;

describe.for(Object.entries(OFFERS))('candidates of %s', ([, offer]) => {
  test('are read', () => {
    const fragment = fragmentOf(offer);
    const { ice, candidates } = readFragment(fragment);
    expect(fragment).toContain(`a=ice-ufrag:${ice!.ufrag}\r\na=ice-pwd:${ice!.pwd}\r\n`);
    expect(candidates).toBe(candidatesIn(fragment));
  });
});

test.for([
  ['line ends of LF alone', (text: string) => text.replaceAll('\r\n', '\n')],
  ['blanks at the ends of lines', (text: string) => text.replaceAll('\r\n', ' \r\n')],
  ['no last line end', (text: string) => text.trimEnd()],
  ['the candidates alone', (text: string) => text.replace(/a=ice-.*\r\n/g, '')],
  ['attributes nobody knows', (text: string) => text.replaceAll('a=mid', 'a=x-new:1\r\na=mid')],
] as const)('a fragment is read with %s', ([, change]) => {
  const fragment = fragmentOf(offered('aiortc-publish'));
  expect(readFragment(change(fragment)).candidates).toBe(4);
});

test.for([
  [
    'mDNS',
    'a=candidate:1 1 udp 2113937151 e41d57b2-9efa-480c-962b-3d3c271835dd.local 37756 typ host generation 0 ufrag ab12 network-cost 999',
  ],
  ['TCP', 'a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active'],
  ['IPv6', 'a=candidate:3 1 UDP 2122260223 2001:db8::7 5000 typ srflx raddr :: rport 9'],
  ['no more', 'a=end-of-candidates'],
])('a fragment may have candidates of %s', ([, line]) => {
  expect(readFragment(`${line}\r\n`).candidates).toBe(line!.startsWith('a=candidate') ? 1 : 0);
});

describe('a fragment is refused, and the refusal says where, with', () => {
  const user = 'a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n';
  test.for([
    ['nothing in it', '', /nothing in the fragment/],
    ['nothing that matters', 'm=audio 9 RTP/AVP 0\r\na=mid:0\r\n', /nothing in the fragment/],
    ['a whole offer', offered('chromium-publish'), /line 1 /],
    ['a user without a password', 'a=ice-ufrag:abcd\r\n', /a=ice-pwd/],
    ['a password without a user', 'a=ice-pwd:0123456789012345678901\r\n', /a=ice-ufrag/],
    ['a password that is too short', 'a=ice-ufrag:abcd\r\na=ice-pwd:0123\r\n', /a=ice-pwd/],
    ['a candidate that is none', `${user}a=candidate:hello\r\n`, /a=candidate in line 3/],
    ['a candidate without a port', `${user}a=candidate:1 1 udp 1 192.0.2.1 typ host\r\n`, /a=candidate in line 3/],
    ['too many candidates', 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'.repeat(300), /more than 200 candidates/],
    ['JSON', '{"candidate":""}', /line 1 /],
  ] as const)('%s', ([, text, message]) => {
    let thrown: unknown;
    try {
      readFragment(text);
    } catch (cause) {
      thrown = cause;
    }
    expect(thrown).toBeInstanceOf(Refusal);
    const { error, status } = thrown as Refusal;
    expect(error.message).toMatch(message);
    expect(error.fix).toMatch(/^Send /);
    expect(status).toBe(400);
  });
});

test('a fragment is read or refused, whatever happened to it on its way', () => {
  const original = fragmentOf(offered('chromium-publish-gathered'));
  const change = fc.record({
    at: fc.nat(original.length),
    gone: fc.nat(40),
    instead: fc.string({ unit: 'binary', maxLength: 8 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
      const text = changes.reduce(
        (each, { at, gone, instead }) => each.slice(0, at) + instead + each.slice(at + gone),
        original,
      );
      try {
        const { ice, candidates } = readFragment(text);
        expect(candidates).toBeLessThanOrEqual(4);
        if (ice) expect([ice.ufrag, ice.pwd].join()).toMatch(/^[\w+/]{4,},[\w+/]{22,}$/);
      } catch (thrown) {
        if (!(thrown instanceof Refusal)) throw thrown;
        expect(thrown.error.code).toBe('invalid');
      }
    }),
    { endOnFailure: true, numRuns: 500 },
  );
});

test('what a restart is about is named by the m-line it is under', () => {
  const section = { media: 'audio', protocol: 'UDP/TLS/RTP/SAVPF', formats: ['111', '0'], mid: 'a' };
  const text = writeFragment(TRANSPORT, section);
  expect(text.split('\r\n').slice(0, 3)).toEqual(['a=ice-lite', 'm=audio 9 UDP/TLS/RTP/SAVPF 111 0', 'a=mid:a']);
  expect(readFragment(text).candidates).toBe(3);
});

test('a restart is answered with the gateway’s new user, and where it is', () => {
  const text = writeFragment(TRANSPORT);
  expect(text.split('\r\n').slice(0, 3)).toEqual([
    'a=ice-lite',
    `a=ice-ufrag:${TRANSPORT.iceParameters.usernameFragment}`,
    `a=ice-pwd:${TRANSPORT.iceParameters.password}`,
  ]);
  expect(readFragment(text)).toEqual({
    ice: { ufrag: TRANSPORT.iceParameters.usernameFragment, pwd: TRANSPORT.iceParameters.password },
    candidates: 3,
  });
});

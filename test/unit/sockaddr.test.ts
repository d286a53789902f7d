import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromSockaddr, toSockaddr } from '../../media/sockaddr.ts';

test('an address comes back from what C libraries take as it went in', () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), port, (address, port) => {
      const canonical = (text: string) => (text.includes(':') ? new URL(`http://[${text}]/`).hostname : text);
      const back = fromSockaddr(toSockaddr({ address, port }));
      expect(back?.port).toBe(port);
      const mapped = canonical(address).startsWith('[::ffff:');
      if (!mapped) expect(canonical(back?.address ?? '')).toBe(canonical(address));
    }),
    { endOnFailure: true },
  );
});

test.for<[string, string]>([
  ['::', '::'],
  ['::1', '::1'],
  ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
])('%s is given as %s', ([address, expected]) => {
  expect(fromSockaddr(toSockaddr({ address, port: 7 }))).toEqual({ address: expected, port: 7 });
});

test('what is no address is refused', () => {
  expect(() => toSockaddr({ address: 'example.org', port: 7 })).toThrow(RangeError);
  expect(() => toSockaddr({ address: '::1', port: 65_536 })).toThrow(RangeError);
});

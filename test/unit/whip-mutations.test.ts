import { createRequire } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Refusal } from '../../gateway/refusal.ts';
import type { RtpCapabilities, RtpParameters } from '../../gateway/sfu.ts';
import { CAPABILITIES, OFFERS, parts, published } from '../fakes/offers.ts';

/** mediasoup's own check of what it is told, without its worker. It throws where the gateway would answer 500. */
const { validateRtpParameters, getProducerRtpParametersMapping } = createRequire(import.meta.url)(
  join(import.meta.dirname, '../../node_modules/mediasoup/node/lib/ortc.js'),
) as {
  validateRtpParameters: (parameters: RtpParameters) => void;
  getProducerRtpParametersMapping: (parameters: RtpParameters, capabilities: RtpCapabilities) => unknown;
};

const offers = Object.values(OFFERS);
/** Lines that real offers have, for other places than their own. */
const lines = [...new Set(offers.flatMap((offer) => offer.split('\r\n')))];
const place = fc.nat(400);
const change = fc.oneof(
  fc.record({ kind: fc.constant('drop' as const), at: place }),
  fc.record({ kind: fc.constant('double' as const), at: place, to: place }),
  fc.record({ kind: fc.constant('swap' as const), at: place, to: place }),
  fc.record({
    kind: fc.constant('shuffle' as const),
    at: place,
    order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }),
  }),
  fc.record({ kind: fc.constant('borrow' as const), at: place, line: fc.constantFrom(...lines) }),
  fc.record({
    kind: fc.constant('number' as const),
    at: place,
    value: fc.constantFrom('0', '-1', '255', '4294967296', '1e9', ''),
  }),
  fc.record({ kind: fc.constant('byte' as const), at: place, column: fc.nat(80), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: place, column: fc.nat(80) }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply(all: readonly string[], change: Change): string[] {
  const [at, now] = [change.at % all.length, [...all]];
  const line = all[at] ?? '';
  switch (change.kind) {
    case 'drop':
      return now.toSpliced(at, 1);
    case 'double':
      return now.toSpliced(change.to % all.length, 0, line);
    case 'swap':
      return now.with(at, all[change.to % all.length] ?? '').with(change.to % all.length, line);
    case 'shuffle': {
      const some = now.slice(at, at + 6);
      return now.toSpliced(at, 6, ...change.order.flatMap((i) => some[i] ?? []));
    }
    case 'borrow':
      return now.toSpliced(at, 0, change.line);
    case 'number':
      return now.with(at, line.replace(/\d+/, change.value));
    case 'byte':
      return now.with(
        at,
        line.slice(0, change.column) + String.fromCharCode(change.byte) + line.slice(change.column + 1),
      );
    case 'cut':
      return now.with(at, line.slice(0, change.column));
  }
}

test('an offer is answered or refused, whatever happened to it on its way, and mediasoup takes what it is told', async () => {
  let [answered, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...offers),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      async (offer, changes) => {
        const text = changes.reduce(apply, offer.split('\r\n')).join('\r\n');
        try {
          const { answer, taken } = await published(text);
          answered += 1;
          const [asked, said] = [parts(text), parts(answer)];
          expect(said.parts.map(({ media }) => media)).toEqual(asked.parts.map(({ media }) => media));
          expect(said.parts.filter(({ port }) => port > 0)).toHaveLength(taken.length);
          expect(answer).not.toMatch(/undefined|NaN|\[object/);
          for (const { kind, rtpParameters } of taken) {
            const copy = structuredClone(rtpParameters);
            expect(() => validateRtpParameters(copy)).not.toThrow();
            expect(() => getProducerRtpParametersMapping(copy, CAPABILITIES)).not.toThrow();
            expect(copy.codecs[0]!.mimeType.split('/')[0]).toBe(kind);
          }
        } catch (thrown) {
          if (!(thrown instanceof Refusal)) throw thrown;
          refused += 1;
          expect(['invalid', 'unsupported']).toContain(thrown.error.code);
          expect(thrown.error).toMatchObject({ field: 'body' });
          expect(thrown.error.message.length).toBeLessThan(400);
          expect(thrown.error.fix).toMatch(/^(Send|Offer) /);
        }
      },
    ),
    { endOnFailure: true, numRuns: 1_000 },
  );
  // The changes are neither harmless nor all deadly.
  expect(answered).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});

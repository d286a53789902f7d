import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AmfValue, decodeAmf0, encodeAmf0 } from '../../gateway/rtmp/amf0.ts';
import { RtmpError } from '../../gateway/rtmp/rtmp-error.ts';

const { value } = fc.letrec<{ value: AmfValue; leaf: AmfValue }>((tie) => ({
  leaf: fc.oneof(fc.double(), fc.boolean(), fc.string({ unit: 'grapheme' }), fc.constant(null), fc.constant(undefined)),
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1 }), tie('value'), { maxKeys: 4, noNullPrototype: false }),
  ),
}));

test('what AMF0 says is what was said', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), (values) => {
      expect(JSON.stringify(decodeAmf0(encodeAmf0(...values)), plain)).toBe(JSON.stringify(values, plain));
    }),
    { endOnFailure: true },
  );
});
/** JSON with what it leaves out. */
const plain = (_: string, each: unknown) => {
  if (each === undefined) return 'undefined!';
  return typeof each === 'number' && (!Number.isFinite(each) || Object.is(each, -0)) ? `${1 / each}:${each}` : each;
};

test('an encoder’s metadata is read: an ECMA array, whose count is wrong as often as not', () => {
  const bytes = Buffer.from('080000000700057769647468004094000000000000000673746572656f0101000009', 'hex');
  expect(decodeAmf0(bytes)).toEqual([{ width: 1280, stereo: true }]);
});

test('dates, long strings, typed objects and what is unsupported are read', () => {
  const bytes = Buffer.concat([
    Buffer.from('0b408f400000000000003c', 'hex'),
    encodeAmf0('x'.repeat(70_000)),
    Buffer.from('10000141000161050000090d', 'hex'),
  ]);
  expect(decodeAmf0(bytes)).toEqual([1_000, 'x'.repeat(70_000), { a: null }, undefined]);
});

test('a name of JavaScript’s own changes nothing', () => {
  const [object] = decodeAmf0(encodeAmf0(JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}') as AmfValue));
  expect(Object.keys(object as object)).toEqual(['__proto__', 'constructor']);
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});

test.for([
  ['nested too deeply', Buffer.from(`${'0a00000001'.repeat(9)}05`, 'hex')],
  ['too many values', Buffer.alloc(2_000, 5)],
  ['an array longer than its message', Buffer.from('0affffffff', 'hex')],
  ['ends within a string', Buffer.from('0200ff61', 'hex')],
  ['ends within an object', Buffer.from('030001610500', 'hex')],
  ['an end without an object', Buffer.from('09', 'hex')],
  ['AMF3', Buffer.from('11', 'hex')],
] as const)('what is no AMF0 is refused: %s', ([, bytes]) => {
  expect(() => decodeAmf0(bytes)).toThrow(RtmpError);
});

test('whatever bytes come, they are read or refused', () => {
  const marker = fc.constantFrom(0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 16);
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.array(marker, { maxLength: 60 }));
  fc.assert(
    fc.property(bytes, (some) => {
      try {
        expect(decodeAmf0(Buffer.from(some)).length).toBeLessThanOrEqual(some.length);
      } catch (failure) {
        expect(failure).toBeInstanceOf(RtmpError);
      }
    }),
    { endOnFailure: true },
  );
});

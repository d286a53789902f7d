import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Element,
  type Tensor,
  type Tensors,
  floats,
  floatsOf,
  halves,
  integers,
} from '../../models/runtime/tensor.ts';
import { Malformed } from '../../models/serve/datatypes.ts';
import { parametersOf, requestMessage, responseMessage, tensorsIn } from '../../models/serve/grpc-inference.ts';
import { jsonLength, readRequest, readResponse, requestBody, responseBody } from '../../models/serve/http-inference.ts';

const whole = (parts: readonly Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));
const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Malformed);
    return (thrown as Malformed).message;
  }
  return expect.unreachable();
};

/** Tensors of every element, views of longer buffers among them, at odd places. */
const tensor = fc
  .record({
    element: fc.constantFrom<Element>('float32', 'float16', 'int64', 'int32', 'uint8', 'bool'),
    dims: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    offset: fc.integer({ min: 0, max: 3 }),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
  })
  .map(({ element, dims, offset, seed }): Tensor => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    let state = seed;
    const next = () => (state = (state * 16_807) % 2_147_483_647);
    const make = {
      float32: () => Float32Array.from({ length: size + offset }, () => (next() - 2 ** 30) / 1_000),
      float16: () =>
        halves(
          Float32Array.from({ length: size + offset }, () => next() / 2 ** 31),
          [size + offset],
        ).data,
      int64: () => BigInt64Array.from({ length: size + offset }, () => BigInt(next() - 2 ** 30) * 1_000n),
      int32: () => Int32Array.from({ length: size + offset }, () => next() - 2 ** 30),
      uint8: () => Uint8Array.from({ length: size + offset }, () => next() % 256),
      bool: () => Uint8Array.from({ length: size + offset }, () => next() % 2),
    };
    const data = make[element]().subarray(offset);
    return { data, dims, ...(element === 'float16' || element === 'bool' ? { as: element } : {}) } as Tensor;
  });
const tensors: fc.Arbitrary<Tensors> = fc.dictionary(fc.stringMatching(/^[a-z_.:/]{1,8}$/), tensor, { maxKeys: 4 });

describe('tensors over HTTP', () => {
  test.for(['binary', 'JSON'] as const)('come as they went, in %s', (how) => {
    const binary = how === 'binary';
    fc.assert(
      fc.property(tensors, (sent) => {
        const asked = requestBody(sent, { binary, parameters: { session: 'a', timeout: 20_000 } });
        const request = readRequest(whole(asked.parts), asked.json);
        expect(request.inputs).toEqual(sent);
        expect(request.parameters).toMatchObject({ session: 'a', timeout: 20_000 });
        expect(request.binary('y')).toBe(binary);
        const answer = responseBody({ name: 'm', version: '1' }, request, sent);
        expect(readResponse(whole(answer.parts), answer.json)).toEqual(sent);
      }),
      { endOnFailure: true },
    );
  });

  test('are refused where bytes lack or are too many, wherever the body is cut', () => {
    const { json, parts } = requestBody(
      { x: floats(Float32Array.of(1, 2, 3), [1, 3]), n: integers([7], [1]) },
      { binary: true },
    );
    const body = whole(parts);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: body.length - 1 }), (length) => {
        refusal(() => readRequest(body.subarray(0, length), json));
        refusal(() => readRequest(body.subarray(0, length), undefined));
      }),
      { endOnFailure: true },
    );
    expect(refusal(() => readRequest(whole([body, new Uint8Array(5)]), json))).toBe(
      '5 bytes follow that no tensor claims',
    );
  });

  // Bodies as the documents of the protocol have them, written out by hand.
  test('are read from JSON in one row or nested, and from bytes behind the JSON in its order', () => {
    const head = JSON.stringify({
      id: '42',
      inputs: [
        { name: 'a', shape: [2, 2], datatype: 'INT32', parameters: { binary_data_size: 16 } },
        {
          name: 'b',
          shape: [2, 2],
          datatype: 'FP32',
          data: [
            [1, 2],
            [4, 5],
          ],
        },
        { name: 'c', shape: [3], datatype: 'BOOL', parameters: { binary_data_size: 3 } },
        { name: 'd', shape: [2], datatype: 'BOOL', data: [true, false] },
      ],
      outputs: [{ name: 'y', parameters: { binary_data: true } }, { name: 'z' }],
    });
    const bytes = Uint8Array.of(1, 0, 0, 0, 0, 1, 0, 0, 255, 255, 255, 255, 4, 0, 0, 0, 1, 0, 1);
    const request = readRequest(whole([Buffer.from(head), bytes]), head.length);
    expect(request.id).toBe('42');
    expect(request.inputs).toEqual({
      a: { data: Int32Array.of(1, 256, -1, 4), dims: [2, 2] },
      b: { data: Float32Array.of(1, 2, 4, 5), dims: [2, 2] },
      c: { data: Uint8Array.of(1, 0, 1), dims: [3], as: 'bool' },
      d: { data: Uint8Array.of(1, 0), dims: [2], as: 'bool' },
    });
    expect([request.outputs, request.binary('y'), request.binary('z')]).toEqual([['y', 'z'], true, false]);
    const answer = responseBody({ name: 'm', version: '1' }, request, {
      y: floats(Float32Array.of(1), [1]),
      z: halves(Float32Array.of(0.5), [1]),
    });
    const [text, raw] = [Buffer.from(answer.parts[0]!).toString(), answer.parts[1]!];
    expect(answer.json).toBe(text.length);
    expect(JSON.parse(text)).toEqual({
      model_name: 'm',
      model_version: '1',
      id: '42',
      outputs: [
        { name: 'y', shape: [1], datatype: 'FP32', parameters: { binary_data_size: 4 } },
        { name: 'z', shape: [1], datatype: 'FP16', data: [0.5] },
      ],
    });
    expect([...raw]).toEqual([0, 0, 128, 63]);
  });

  test.for([
    [
      { inputs: [{ name: 'x', shape: [2], datatype: 'FP32', data: [1] }] },
      "'x' of FP32 [2] must have 2 numbers, has 1",
    ],
    [{ inputs: [{ name: 'x', shape: [1], datatype: 'FP64', data: [1] }] }, "'x' is of FP64"],
    [{ inputs: [{ name: 'x', shape: [1], datatype: 'FP32' }] }, "'x' has neither data nor a binary_data_size"],
    [{ inputs: [{ name: 'x', shape: [-1], datatype: 'FP32', data: [] }] }, "'inputs.0.shape.0' is wrong"],
    [{ inputs: [{ name: 'x', shape: [1], datatype: 'UINT8', data: [256] }] }, "'x' of UINT8 holds 256"],
    [{ inputs: [{ name: 'x', shape: [1], datatype: 'INT64', data: [0.5] }] }, "'x' of INT64 holds 0.5"],
    [{ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: ['1'] }] }, `'x' of FP32 holds "1"`],
    [{ inputs: [{ name: 'x', shape: [1], datatype: 'BOOL', data: [2] }] }, "'x' of BOOL holds 2"],
    [{}, "'inputs' is wrong"],
    [{ inputs: [1, 2].map((n) => ({ name: 'x', shape: [1], datatype: 'FP32', data: [n] })) }, "'x' comes twice"],
    [
      { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', parameters: { binary_data_size: 4 } }] },
      "'x' is to have 4 bytes, of which 0 came",
    ],
  ] as const)('%j is refused', ([body, sentence]) => {
    expect(refusal(() => readRequest(Buffer.from(JSON.stringify(body)), undefined))).toContain(sentence);
  });

  test('what JSON cannot tell is not told', () => {
    const asked = { id: undefined, binary: () => false };
    for (const made of [floats(Float32Array.of(NaN), [1]), integers(BigInt64Array.of(2n ** 60n), [1])]) {
      expect(refusal(() => responseBody({ name: 'm', version: '1' }, asked, { y: made }))).toContain(
        'ask for binary data',
      );
    }
  });

  test('a header that is no length is refused', () => {
    expect([jsonLength(null), jsonLength(undefined), jsonLength(' 12')]).toEqual([undefined, undefined, 12]);
    for (const header of ['-1', '1e3', 'NaN', '', '9'.repeat(20)]) refusal(() => jsonLength(header));
  });
});

describe('tensors over gRPC', () => {
  test('come as they went', () => {
    fc.assert(
      fc.property(tensors, (sent) => {
        const request = requestMessage('m', sent, {});
        expect(tensorsIn(request.inputs, request.rawInputContents)).toEqual(sent);
        const answer = responseMessage({ name: 'm', version: '1' }, 'id', sent);
        expect(tensorsIn(answer.outputs, answer.rawOutputContents)).toEqual(sent);
      }),
      { endOnFailure: true },
    );
  });

  test('are read from lists of values, too, as older clients send them', () => {
    const list = [
      { name: 'f', datatype: 'FP32', shape: ['2'], contents: { fp32Contents: [0.5, -1] } },
      { name: 'l', datatype: 'INT64', shape: ['1'], contents: { int64Contents: ['-9007199254740993'] } },
      { name: 'u', datatype: 'UINT8', shape: ['1'], contents: { uintContents: [200] } },
      { name: 'b', datatype: 'BOOL', shape: ['2'], contents: { boolContents: [true, false] } },
    ];
    expect(tensorsIn(list, [])).toEqual({
      f: { data: Float32Array.of(0.5, -1), dims: [2] },
      l: { data: BigInt64Array.of(-9_007_199_254_740_993n), dims: [1] },
      u: { data: Uint8Array.of(200), dims: [1] },
      b: { data: Uint8Array.of(1, 0), dims: [2], as: 'bool' },
    });
    const half = { name: 'h', datatype: 'FP16', shape: ['1'], contents: {} };
    expect(refusal(() => tensorsIn([half], []))).toContain('raw contents alone');
    expect(floatsOf(tensorsIn([half], [Uint8Array.of(0, 0x38)])['h'], 'h')[0]).toBe(0.5);
    expect(refusal(() => tensorsIn(list, [new Uint8Array(8)]))).toBe('There are 4 tensors and raw contents for 1');
    expect(refusal(() => tensorsIn([{ name: 'x', datatype: 'FP32', shape: ['2'] }], [new Uint8Array(7)]))).toBe(
      "'x' of FP32 [2] must have 8 bytes, has 7",
    );
  });

  test('parameters keep their kinds', () => {
    const told = { session: 'a', timeout: 20_000, fps: 23.976, sure: true };
    expect(parametersOf(requestMessage('m', {}, told).parameters)).toEqual(told);
    expect(parametersOf({ n: { int64Param: '5' }, u: { uint64Param: '6' } })).toEqual({ n: 5, u: 6 });
  });
});

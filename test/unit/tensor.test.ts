import { describe, expect, test } from 'vitest';
import { type Port, expectFitting, fitted, zeros } from '../../models/runtime/ports.ts';
import {
  type Tensor,
  booleans,
  elementOf,
  floats,
  floatsOf,
  halves,
  integers,
  sizeOf,
} from '../../models/runtime/tensor.ts';

describe('a tensor', () => {
  test.for([
    [floats(new Float32Array(1), [1]), 'float32'],
    [halves(new Float32Array(1), [1]), 'float16'],
    [integers([1], [1]), 'int64'],
    [integers(BigInt64Array.of(1n), [1]), 'int64'],
    [{ data: new Int32Array(1), dims: [1] }, 'int32'],
    [{ data: new Uint8Array(1), dims: [1] }, 'uint8'],
    [booleans([true], [1]), 'bool'],
  ] as const)('%# holds %s', ([tensor, element]) => {
    expect(elementOf(tensor)).toBe(element);
  });

  test('whose array does not say what it holds must say it', () => {
    const bits = { data: new Uint16Array(1), dims: [1] } as unknown as Tensor;
    expect(() => elementOf(bits)).toThrow("Cannot tell what a tensor holds: Uint16Array needs 'as'");
  });

  test('is read as floats where it holds floats, and refuses to be where it does not', () => {
    const data = Float32Array.of(0.5, -1);
    expect(floatsOf(floats(data, [2]), 'y')).toBe(data);
    expect([...floatsOf(halves(data, [2]), 'y')]).toEqual([0.5, -1]);
    expect(() => floatsOf(integers([1], [1]), 'y')).toThrow("Cannot read output 'y' as floats: received int64");
    expect(() => floatsOf(undefined, 'y')).toThrow("Cannot read output 'y' as floats: received nothing");
  });

  test('has as many numbers as its dimensions say; one without dimensions', () => {
    expect([sizeOf([2, 3, 4]), sizeOf([]), sizeOf([2, 0])]).toEqual([24, 1, 0]);
  });
});

describe('ports', () => {
  const ports: readonly Port[] = [
    { name: 'x', element: 'float16', shape: ['N', 2] },
    { name: 'flag', element: 'bool', shape: [] },
  ];
  const flag = booleans([true], []);

  test('of float16 take float32, which is rounded', () => {
    const x = floats(Float32Array.of(1, 2.0001), [1, 2]);
    expect(() => expectFitting('net', ports, { x, flag })).not.toThrow();
    const rounded = fitted(ports[0]!, x);
    expect([rounded.as, ...floatsOf(rounded, 'x')]).toEqual(['float16', 1, 2]);
    expect(fitted(ports[1]!, flag)).toBe(flag);
  });

  test('do not take bytes for booleans, nor another number of axes', () => {
    const x = halves(new Float32Array(2), [1, 2]);
    const bytes = { data: new Uint8Array(1), dims: [] };
    expect(() => expectFitting('net', ports, { x, flag: bytes })).toThrow(
      "input 'flag' must be bool [], received uint8 []",
    );
    expect(() => expectFitting('net', ports, { x: halves(new Float32Array(2), [2]), flag })).toThrow(
      "input 'x' must be float16 [N, 2], received float16 [2]",
    );
  });

  test('are warmed up with zeros of what they hold', () => {
    const { x, flag: no } = zeros('net', ports, { x: [3, 2] });
    expect([elementOf(x!), x!.data.length, elementOf(no!), no!.data.length]).toEqual(['float16', 6, 'bool', 1]);
    expect(() => zeros('net', ports, {})).toThrow(
      "Cannot warm net up: the shape of 'x', float16 [N, 2], must be given",
    );
  });
});

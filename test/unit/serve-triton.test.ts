import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ms } from '../../media/time.ts';
import type { Port } from '../../models/runtime/ports.ts';
import { offersOf, shapesOf } from '../../models/serve/offers.ts';
import { tritonConfig } from '../../models/serve/triton.ts';
import type { ModelCard } from '../../models/store/weights.ts';

const picture: Port = { name: 'image:0', element: 'float16', shape: ['batch', 3, 'height', 'width'] };
const ids: Port = { name: 'ids', element: 'int64', shape: ['batch', 7] };
const made: Port = { name: 'y', element: 'float32', shape: ['batch', 136] };

describe('a model’s config.pbtxt', () => {
  test('leaves Triton its axis of items, and has the dynamic batcher', () => {
    const text = tritonConfig(
      { name: 'lips', inputs: [picture, ids], outputs: [made], joins: true },
      { gpus: [0, 1], preferred: [4, 8, 64], delay: ms(3), max: 32, tensorrt: 'FP16' },
    );
    expect(text).toBe(`name: "lips"
platform: "onnxruntime_onnx"
backend: "onnxruntime"
max_batch_size: 32
input [
  {
    name: "image:0"
    data_type: TYPE_FP16
    dims: [ 3, -1, -1 ]
  },
  {
    name: "ids"
    data_type: TYPE_INT64
    dims: [ 7 ]
  }
]
output [
  {
    name: "y"
    data_type: TYPE_FP32
    dims: [ 136 ]
  }
]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 3000
  default_queue_policy {
    timeout_action: REJECT
    allow_timeout_override: true
    max_queue_size: 256
  }
}
instance_group [
  {
    count: 1
    kind: KIND_GPU
    gpus: [ 0, 1 ]
  }
]
optimization {
  execution_accelerators {
    gpu_execution_accelerator [
      {
        name: "tensorrt"
        parameters {
          key: "precision_mode"
          value: "FP16"
        }
      }
    ]
  }
}
`);
  });

  test.for([
    ['its items do not join', [ids], [made], false],
    ['an output has no axis but that of items', [ids], [{ ...made, shape: ['batch'] }], true],
  ] as const)('has whole shapes and no batcher where %s', ([, inputs, outputs, joins]) => {
    const text = tritonConfig({ name: 'm', inputs, outputs, joins }, { device: 'cpu', instances: 2 });
    expect(text).toContain('max_batch_size: 0\n');
    expect(text).toContain('dims: [ -1, 7 ]');
    expect(text).toContain('count: 2\n    kind: KIND_CPU\n');
    expect(text).not.toMatch(/dynamic_batching|optimization|gpus/);
  });

  test('is refused where Triton could not take the model', () => {
    const rate: Port = { name: 'sr', element: 'int64', shape: [] };
    const model = { name: 'vad', inputs: [ids, rate], outputs: [made], joins: true };
    expect(() => tritonConfig(model)).toThrow("'sr' of model 'vad' has no axes, which Triton does not take");
    expect(() => tritonConfig({ ...model, inputs: [ids] }, { device: 'cpu', tensorrt: 'FP32' })).toThrow('for GPUs');
  });
});

describe('networks that are named', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'livedub-offers-'));
    vi.stubEnv('LIVEDUB_MODELS', folder);
    for (const path of [
      'a.onnx',
      'notes.txt',
      'b/1/model.onnx',
      'b/12/model.onnx',
      'b/2/model.onnx',
      'c/readme/x',
      'models/one/net.onnx',
      'models/two/enc.onnx',
      'models/two/dec.onnx',
    ]) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), '');
    }
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  const card = (name: string, ...files: string[]): ModelCard => ({
    name,
    summary: '',
    home: 'https://example.org',
    licence: 'MIT',
    languages: 'any',
    device: 'cpu',
    files: files.map((file) => ({ name: file, url: `https://example.org/${file}` })),
  });
  const cards = [
    card('one', 'net.onnx'),
    card('two', 'enc.onnx', 'dec.onnx', 'words.txt'),
    card('far', 'x.onnx'),
    card('words', 'w.txt'),
  ];
  const found = (named: readonly string[], directory?: string) =>
    offersOf(named, directory, cards).map(({ name, file }) => [name, file.slice(folder.length + 1)]);

  test('are files, files with a name, and models of the store', () => {
    expect(found([join(folder, 'a.onnx'), `face.2=${join(folder, 'a.onnx')}`, 'one', 'two'])).toEqual([
      ['a', 'a.onnx'],
      ['face.2', 'a.onnx'],
      ['one', 'models/one/net.onnx'],
      ['two.enc', 'models/two/enc.onnx'],
      ['two.dec', 'models/two/dec.onnx'],
    ]);
  });

  test('are those of a directory, and the highest version of those that have some', () => {
    expect(found([], folder)).toEqual([
      ['a', 'a.onnx'],
      ['b', 'b/12/model.onnx'],
    ]);
  });

  test.for([
    [['three'], "There is no model 'three'"],
    [['far'], 'livedub models pull far'],
    [['words'], 'has no ONNX file'],
    [['gone.onnx'], 'There is no /'],
    [['one', 'one'], "Two models are called 'one'"],
    [['a b=x.onnx'], "is no model's name"],
  ] as const)('%j are refused: %s', ([named, sentence]) => {
    expect(() => found(named)).toThrow(sentence);
  });

  test('have the shapes that are given', () => {
    const shapes = shapesOf(['a:x=1x3x320x320', 'a:input:0=1x5']);
    expect(shapes).toEqual({ a: { x: [1, 3, 320, 320], 'input:0': [1, 5] } });
    expect(offersOf([join(folder, 'a.onnx')], undefined, cards, shapes)[0]!.shapes).toEqual(shapes['a']);
    expect(() => offersOf(['one'], undefined, cards, shapes)).toThrow("for 'a', which is not served");
    for (const wrong of ['a:x', 'x=1x3', 'a:x=1xN']) expect(() => shapesOf([wrong])).toThrow('is no shape');
  });
});

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { fieldsOf } from '../../models/translate/protobuf.ts';
import { SentencePiece, joined } from '../../models/translate/sentencepiece.ts';
import { lacking, weights } from '../weights.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const json = (name: string): unknown => JSON.parse(readFileSync(fixture(name), 'utf8'));

describe('SentencePiece cuts as the original does', () => {
  // Written by models/export/{marian,m2m100}.py with the original; they have rewriting rules of their own.
  test.for([
    ['unigram', 'opus-mt/source.spm', 'opus-mt/reference.json'],
    ['byte pairs', 'm2m100/sentencepiece.bpe.model', 'm2m100/reference.json'],
  ] as const)('%s, tiny', ([, model, reference]) => {
    const tokenizer = SentencePiece.read(fixture(model));
    const { sentences } = json(reference) as { sentences: { text: string; pieces: string[] }[] };
    for (const { text, pieces } of sentences) {
      if (!text.startsWith('>>')) expect(tokenizer.encode(text), text).toEqual(pieces);
    }
  });

  const name = 'tokenizers/opus-mt-fr-en/source.spm';
  const absent = lacking(name);
  // 8 400 more lines in seven languages, 800 of them random, came out alike with this and three other tokenizers.
  test.skipIf(absent)(`the tokenizer of OPUS-MT fr→en: pieces by models/export/pieces.py ${absent ?? ''}`, () => {
    const tokenizer = SentencePiece.read(weights(name));
    const lines = json('sentencepiece/opus-mt-fr-en.json') as [text: string, pieces: string[]][];
    expect(lines.length).toBeGreaterThan(35);
    for (const [text, pieces] of lines) expect(tokenizer.encode(text), text).toEqual(pieces);
  });
});

test('nothing, blanks and half a surrogate pair are cut without a complaint', () => {
  const tokenizer = SentencePiece.read(fixture('opus-mt/source.spm'));
  expect(['', '   ', '\u3000'].map((text) => tokenizer.encode(text))).toEqual([[], [], []]);
  expect(joined(tokenizer.encode('a\ud800'))).toBe('a\ufffd');
});

test('pieces make the text they were cut from', () => {
  const tokenizer = SentencePiece.read(fixture('m2m100/sentencepiece.bpe.model'));
  expect(joined(tokenizer.encode('  The doctor   asked him. '))).toBe('The doctor asked him.');
});

test.for([
  ['an empty file', new Uint8Array(), 'it has no pieces'],
  ['a file that is cut', readFileSync(fixture('opus-mt/source.spm')).subarray(0, 100), 'it ends within a field'],
  ['a text', new TextEncoder().encode('<!doctype html>'), 'Cannot read message'],
] as const)('%s is refused in a sentence', ([, bytes, message]) => {
  expect(() => new SentencePiece(bytes)).toThrow(message);
});

test('fields of a message are read whatever their type', () => {
  const message = Uint8Array.of(0x08, 0x96, 0x01, 0x12, 2, 65, 66, 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0);
  expect([...fieldsOf(message)].map(({ number, value, bytes }) => [number, value, [...bytes]])).toEqual([
    [1, 150, []],
    [2, 0, [65, 66]],
    [3, 1, []],
    [4, 2, []],
  ]);
  expect(() => [...fieldsOf(Uint8Array.of(0x0b))]).toThrow('unknown wire type 3');
});

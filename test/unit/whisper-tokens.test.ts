import { PreTrainedTokenizer } from '@huggingface/transformers';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { WhisperTokens } from '../../models/recognize/whisper-tokens.ts';
import { WHISPER } from '../fakes/whisper.ts';
import { lacking, weights } from '../weights.ts';

const real = 'tokenizers/whisper';
const absent = lacking(real);

/** Whisper's vocabulary for many languages; its special tokens begin behind it. */
function multilingual() {
  const read = (name: string) => readFileSync(join(weights(real), name), 'utf8');
  const vocabulary = JSON.parse(read('vocab.json')) as Record<string, number>;
  const merges = read('merges.txt')
    .split('\n')
    .filter((line) => line.includes(' ') && !line.startsWith('#version'))
    .map((line) => line.split(' ') as [string, string]);
  const names = ['endoftext', 'startoftranscript', 'en', 'zh', 'translate', 'transcribe', 'startoflm', 'startofprev'];
  const all = [...names, 'nospeech', 'notimestamps', '0.00', '0.02'];
  const added = Object.fromEntries(all.map((name, n) => [`<|${name}|>`, 50_257 + n]));
  return { vocabulary, merges, added };
}

const TEXTS = [
  ' He hoped there would be stew for dinner, turnips and carrots.',
  " it's  the 3rd of  May — they've said £1,200.50!",
  '¿Dónde está la señora Muñoz? Ça va très bien, naïve façade.',
  '欢迎大家来体验达摩院推出的语音识别模型',
  'ご視聴ありがとうございました。',
  'Добро пожаловать в Москву 🎉🎉 ok\n\ttabs',
  'ทดสอบภาษาไทย',
  '',
];

describe.skipIf(absent)(`the real tokenizer ${absent ?? ''}`, () => {
  const files = absent === undefined ? multilingual() : { vocabulary: {}, merges: [], added: {} };
  const ours = () => new WhisperTokens(files);

  test.for(TEXTS)('splits as transformers.js does, and joins again: %j', (text) => {
    const special = Object.entries(files.added).map(([content, id]) => ({ id, content, special: true }));
    const theirs = new PreTrainedTokenizer(
      {
        version: '1.0',
        added_tokens: special,
        normalizer: null,
        pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
        post_processor: null,
        decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
        model: { type: 'BPE', vocab: files.vocabulary, merges: files.merges, unk_token: null },
      },
      { tokenizer_class: 'GPT2Tokenizer' },
    );
    const tokens = ours().encode(text);
    expect(tokens).toEqual(theirs.encode(text, { add_special_tokens: false }));
    expect(ours().decode(tokens)).toBe(text);
  });

  test('cuts words before spaces, with the signs behind them', () => {
    const tokens = ours();
    const words = tokens.words(tokens.encode(' He hoped, there would be: stew!'), 'en');
    expect(words.map(({ text }) => text)).toEqual(['He', 'hoped,', 'there', 'would', 'be:', 'stew!']);
    expect(words.flatMap((word) => word.tokens)).toEqual(tokens.encode(' He hoped, there would be: stew!'));
  });

  test('cuts a language without spaces between characters, and never inside one', () => {
    const tokens = ours();
    const words = tokens.words(tokens.encode('体验达摩院🎉的'), 'zh');
    expect(words.map(({ text }) => text).join('')).toBe('体验达摩院🎉的');
    for (const { text } of words) expect(text).not.toContain('\ufffd');
    expect(words.length).toBeGreaterThan(3);
  });

  test('has no text for special tokens, and knows what they are for', () => {
    const tokens = ours();
    expect(tokens.decode([tokens.start, ...tokens.encode(' a'), tokens.endOfText])).toBe(' a');
    expect([...tokens.languages]).toEqual([
      ['en', 50_259],
      ['zh', 50_260],
    ]);
    expect(tokens.timestamps).toBe(tokens.noTimestamps + 1);
  });
});

test('a tokenizer without the tokens that Whisper needs is refused by name', () => {
  expect(() => new WhisperTokens({ vocabulary: { a: 0 }, merges: [], added: { '<|endoftext|>': 1 } })).toThrow(
    'Cannot use this tokenizer for Whisper: it has no token <|startoftranscript|>',
  );
});

test('the tokenizer of a model is read from its directory', () => {
  const tokens = WhisperTokens.in(WHISPER);
  expect(tokens.decode(tokens.encode(' three one four'))).toBe(' three one four');
  expect(tokens.encode(' three one four').length).toBe(3);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  answerOf,
  asNames,
  programsOf,
  request,
  unknownIn,
  withoutMarks,
} from '../../models/translate/apertium-text.ts';

describe('a mode file', () => {
  test('becomes programs that answer after every NUL, with the tagger’s hole left out and the generator’s filled', () => {
    const mode =
      "lt-proc -w '/usr/share/a b/x.bin' | apertium-tagger -g $2 'y.prob' | apertium-pretransfer|lt-proc $1 'z.bin'\n";
    expect(programsOf(mode)).toEqual([
      ['lt-proc', '-z', '-w', '/usr/share/a b/x.bin'],
      ['apertium-tagger', '-z', '-g', 'y.prob'],
      ['apertium-pretransfer', '-z'],
      ['lt-proc', '-z', '-g', 'z.bin'],
    ]);
  });
});

describe('a request', () => {
  test('escapes what would be markup', () => {
    expect(request('a [b] {c} ^d$ e/f <g> h@i \\')).toBe('a \\[b\\] \\{c\\} \\^d\\$ e\\/f \\<g\\> h\\@i \\\\[][\n]\0');
  });

  test('is one request, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const whole = request(text);
        expect(whole.indexOf('\0')).toBe(whole.length - 1);
      }),
    );
  });

  test('comes back as the text it was, when nothing is done to it', () => {
    const carried = fc.string({ unit: 'grapheme' }).filter((text) => !/[\u0000-\u001f\u007f~]/.test(text));
    fc.assert(fc.property(carried, (text) => void expect(answerOf(request(text).slice(0, -1))).toBe(text)));
  });
});

describe('marks', () => {
  test('go, and the words stay', () => {
    expect(withoutMarks('El *americans, "*english" la #canal @y go# to talk')).toBe(
      'El americans, "english" la canal y go to talk',
    );
  });

  test('are not seen where they stand for themselves', () => {
    expect(withoutMarks('C#, 2*3, a@b.c # 5')).toBe('C#, 2*3, a@b.c # 5');
  });

  test('name the words that were not known', () => {
    expect(unknownIn('Quiero hablar a *jordan y #ir en *o’brien.')).toEqual(['jordan', 'o’brien']);
  });
});

test('words become names where they stand alone and in lower case', () => {
  expect(asNames('mary saw rosemary and Mary on monday', ['mary', 'monday', 'x'])).toBe(
    'Mary saw rosemary and Mary on Monday',
  );
});

import { describe, expect, test } from 'vitest';
import { asSentence, finished } from '../../models/translate/sentence.ts';
import type { Language } from '../../pipeline/domain.ts';

const en = 'en' as Language;
const es = 'es' as Language;

describe('what was heard becomes a sentence', () => {
  test.for([
    ['i love this city', 'I love this city.'],
    ["you know i'm late and i'll go", "You know I'm late and I'll go.".replace('You', 'you')],
    ['  two   blanks ', 'two blanks.'],
    ['the i-beam and the ipad', 'the i-beam and the ipad.'],
    ['Already done!', 'Already done!'],
    ['he said "stop."', 'he said "stop."'],
    ['first this,', 'first this,'],
    ['', ''],
  ] as const)('%s → %s', ([heard, written]) => {
    expect(asSentence(heard, en)).toBe(written);
  });

  test.for([
    ['what time is it', true],
    ['do you know what i mean', true],
    ['and where are we going', true],
    ["isn't it nice", true],
    ['could you please tell me where the station is', true],
    ['how does the engine work', true],
    ['why did they leave', true],
    ['what i mean is this', false],
    ['what he said was true', false],
    ['when he was young he lived here', false],
    ['have a nice day', false],
    ['do the right thing', false],
    ['do it now', false],
    ['how nice', false],
    ['is what we want', false],
  ] as const)('“%s” asks: %s', ([heard, asks]) => {
    expect(asSentence(heard, en).at(-1)).toBe(asks ? '?' : '.');
  });

  test('only English is asked about in English', () => {
    expect(asSentence('do you do', es)).toBe('do you do.');
  });
});

describe('a translation is finished', () => {
  test.for([
    // Apertium moves capitals with the words it moves.
    ['buenos días Mi nombre es jordan.', 'good morning my name is jordan.', 'Buenos días mi nombre es jordan.'],
    ['Quiero hablar a Mary el lunes.', 'I want to talk to Mary on Monday.', 'Quiero hablar a Mary el lunes.'],
    ['EL agua del río es muy fría.', 'the water of the river is very cold.', 'El agua del río es muy fría.'],
    ['La BBC está aquí.', 'the BBC is here.', 'La BBC está aquí.'],
    ['Bonos díes , ciudá .', 'good morning, city.', 'Bonos díes, ciudá.'],
    [' Qué  tiempo es?', 'what time is it?', '¿Qué tiempo es?'],
    ['Hola. cómo estás? Bien!', 'hello. how are you? fine!', 'Hola. ¿Cómo estás? ¡Bien!'],
    ['¿Qué tal?', 'how are you?', '¿Qué tal?'],
    ['', 'x.', ''],
  ] as const)('%s', ([translation, source, line]) => {
    expect(finished(translation, source, es)).toBe(line);
  });

  test('languages without opening marks get none', () => {
    expect(finished('quelle heure est-il?', 'what time is it?', 'fr' as Language)).toBe('Quelle heure est-il?');
  });
});

import { describe, expect, test } from 'vitest';
import { installedModes } from '../../models/translate/apertium.ts';
import { registry } from '../../models/index.ts';
import { languageRows } from '../../models/languages.ts';
import type { Language } from '../../pipeline/domain.ts';

const wanted = (from: string, to: string) => ({ from: from as Language, to: to as Language });

describe('the engines for a language', () => {
  const engines = registry();

  test.for([
    ['en', 'es', 'apertium', 'espeak'],
    ['en', 'pt-BR', 'apertium', 'espeak'],
    ['en', 'en', 'identity', 'flite'],
    ['en', 'en-GB', 'identity', 'flite'],
    ['fr', 'fr', 'identity', 'espeak'],
  ] as const)('%s→%s: %s, %s', ([from, to, translator, synthesizer]) => {
    expect(engines.pick('translator', wanted(from, to))?.id).toBe(translator);
    expect(engines.pick('synthesizer', wanted(from, to))?.id).toBe(synthesizer);
  });

  test('for a pair that Debian has no rules for there is a model, named with the command that brings it', () => {
    expect(engines.pick('translator', wanted('en', 'de'))?.id).toBe('opus-mt');
    expect(engines.lacks('translator', 'opus-mt', wanted('en', 'de'))).toContain(
      'model opus-mt-en-de (livedub models pull opus-mt-en-de)',
    );
  });

  test('each that Apertium has can be said', () => {
    for (const { to } of languageRows(new Set())) expect(engines.pick('synthesizer', { to })?.id).toBeDefined();
  });

  test.skipIf(!installedModes().has('eng-spa'))(
    'what is installed lacks nothing, what is not says what it lacks',
    () => {
      const modes = new Set(installedModes().keys());
      for (const { from, to, install } of languageRows(modes)) {
        expect(engines.lacks('translator', 'apertium', { from, to }), `${from}→${to}`).toEqual(install);
      }
    },
  );
});

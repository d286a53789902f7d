import { describe, expect, test } from 'vitest';
import {
  DIRECTIONS,
  NoRoute,
  PAIRS,
  languageRows,
  nameOf,
  routeBetween,
  routesBetween,
  serves,
} from '../../models/languages.ts';
import { SPOKEN, voiceFor } from '../../models/speak/espeak-voices.ts';
import type { Language } from '../../pipeline/domain.ts';

const tag = (text: string) => text as Language;
const modes = (...names: string[]) => new Set(names);
const packages = (from: string, to: string, installed: ReadonlySet<string>) => {
  const answer = routeBetween(tag(from), tag(to), installed);
  return answer && 'route' in answer ? answer.route.map((step) => step.package) : answer;
};

describe('a way between languages', () => {
  test('is direct where a package is installed, under whichever name its mode goes', () => {
    expect(packages('en', 'es', modes('eng-spa'))).toEqual(['apertium-eng-spa']);
    expect(packages('en-GB', 'es-MX', modes('en-es'))).toEqual(['apertium-eng-spa']);
  });

  test('leads through Spanish where that is what is installed', () => {
    expect(packages('en', 'pt', modes('eng-spa', 'es-pt'))).toEqual(['apertium-eng-spa', 'apertium-es-pt']);
    expect(packages('en', 'ca', modes('eng-spa', 'spa-cat'))).toEqual(['apertium-eng-spa', 'apertium-spa-cat']);
  });

  test('is direct rather than through a third language', () => {
    expect(packages('en', 'ca', modes('eng-spa', 'spa-cat', 'eng-cat'))).toEqual(['apertium-eng-cat']);
  });

  test('that is not installed names the fewest packages that would bring it', () => {
    expect(packages('en', 'es', modes())).toEqual({ install: ['apertium-eng-spa'] });
    expect(packages('en', 'pt', modes('eng-spa'))).toEqual({ install: ['apertium-es-pt'] });
    expect(packages('en', 'pt', modes())).toEqual({ install: ['apertium-eng-spa', 'apertium-es-pt'] });
    expect(packages('en', 'pt', modes('eng-cat'))).toEqual({ install: ['apertium-por-cat'] });
  });

  test('does not exist for what no package translates', () => {
    expect(packages('en', 'de', modes('eng-spa'))).toBeUndefined();
    expect(packages('de', 'es', modes('eng-spa'))).toBeUndefined();
    expect(routesBetween(tag('en'), tag('en'))).toEqual([]);
  });

  test('asks for Brazilian Portuguese where that is wanted', () => {
    const [route] = routesBetween(tag('en'), tag('pt-BR'));
    expect(route?.at(-1)?.modes[0]).toBe('es-pt_BR');
    expect(routesBetween(tag('en'), tag('pt'))[0]?.at(-1)?.modes[0]).toBe('es-pt');
  });

  test.for(PAIRS.map(({ from, to }) => [from, to] as const))('%s→%s fits together', ([from, to]) => {
    for (const [first, second] of routesBetween(from, to)) {
      expect(serves(first.from, from)).toBe(true);
      expect((second ?? first).to).toBe(to);
      if (second) expect(second.from).toBe(first.to);
    }
  });
});

test('a missing pair says what there is and what to install', () => {
  expect(new NoRoute(tag('en'), tag('pt'), modes('eng-spa')).message).toBe(
    'Cannot translate en→pt: apt install apertium-es-pt brings it; installed: en→es',
  );
  expect(new NoRoute(tag('en'), tag('de'), modes('eng-spa', 'spa-eng')).message).toBe(
    'Cannot translate en→de: no Apertium package in Debian 12 brings it; installed: en→es, es→en',
  );
  expect(new NoRoute(tag('en'), tag('es'), modes()).message).toBe(
    'Cannot translate en→es: apt install apertium-eng-spa brings it; installed: none',
  );
});

describe('the list of languages', () => {
  test('shows what is ready first, with what the rest needs', () => {
    const rows = languageRows(modes('eng-spa')).filter(({ from }) => from === 'en');
    expect(rows[0]).toMatchObject({ to: 'es', name: 'español', english: 'Spanish', install: [], through: undefined });
    expect(rows.find(({ to }) => to === 'fr')).toMatchObject({
      name: 'français',
      through: 'es',
      install: ['apertium-fr-es'],
    });
    expect(rows.map(({ install }) => install.length > 0)).toEqual(rows.map((_, n) => n > 0));
  });

  test('holds no language that nobody can say', () => {
    expect(languageRows(modes()).filter(({ to }) => voiceFor(to) === undefined)).toEqual([]);
  });

  test('has every tag in its BCP 47 form, and a name for it', () => {
    for (const language of [...DIRECTIONS.flatMap(({ from, to }) => [from, to]), ...SPOKEN]) {
      expect(Intl.getCanonicalLocales(language)[0]?.toLowerCase()).toBe(language.toLowerCase());
      expect(nameOf(language)).not.toBe('');
    }
  });
});

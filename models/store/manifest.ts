import type { Engine } from '../engine.ts';
import { evaluation } from './evaluation.ts';
import { engines as all } from '../index.ts';
import { StoreError } from './store-error.ts';
import type { ModelCard } from './weights.ts';

/** A model that `livedub models` knows, and what it is for. */
export interface Entry {
  readonly card: ModelCard;
  /** Engines that list it, as in `enhancer:gtcrn`; `bench` for what only judges. */
  readonly serves: readonly string[];
}

/** Every model there is, in the order of the engines that use it. */
export function manifest(engines: readonly Engine[] = all, extras: readonly ModelCard[] = evaluation): Entry[] {
  const serves = new Map<ModelCard, string[]>();
  const add = (card: ModelCard, what: string) => serves.set(card, [...(serves.get(card) ?? []), what]);
  for (const { kind, id, models = [] } of engines) for (const card of models) add(card, `${kind}:${id}`);
  for (const card of extras) add(card, 'bench');
  return [...serves].map(([card, what]) => ({ card, serves: what }));
}

/** What is wrong with a list of models: one sentence for each fault, none when it is sound. */
export function complaints(entries: readonly Entry[]): string[] {
  const seen = new Set<string>();
  return entries.flatMap(({ card, serves }) => {
    const faults: string[] = [];
    if (!/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(card.name))
      faults.push('its name is not lower case, digits, dots and dashes');
    if (seen.has(card.name)) faults.push('another model has its name');
    seen.add(card.name);
    if (!card.home.startsWith('https://')) faults.push('it has no home with https');
    if (card.licence.trim() === '') faults.push('it has no licence');
    if (card.files.length === 0) faults.push('it has no files');
    const names = card.files.map((file) => file.name);
    if (new Set(names).size < names.length) faults.push('two files have one name');
    for (const { name, url, sha256, bytes } of card.files) {
      if (/^\/|(^|\/)\.{1,2}(\/|$)|\\/.test(name) || name === '')
        faults.push(`'${name}' is no name below its directory`);
      if (!url.startsWith('https://') || !URL.canParse(url)) faults.push(`${name} has no address with https`);
      if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) faults.push(`${name} has no whole SHA-256`);
      if (bytes !== undefined && !(Number.isInteger(bytes) && bytes > 0)) faults.push(`${name} has no size`);
    }
    return faults.map((fault) => `${card.name} (${serves.join(', ')}): ${fault}`);
  });
}

/**
 * The models called `names`, each once.
 *
 * @throws StoreError `unknown`, naming those that are alike
 */
export function cardsOf(names: readonly string[], entries: readonly Entry[]): ModelCard[] {
  return [...new Set(names)].map((name) => {
    const entry = entries.find(({ card }) => card.name === name);
    if (entry) return entry.card;
    const alike = entries.map(({ card }) => card.name).filter((each) => each.includes(name) || name.includes(each));
    throw new StoreError(
      'unknown',
      `There is no model called '${name}'.`,
      alike.length > 0 ? `Did you mean ${alike.slice(0, 5).join(', ')}?` : 'See: livedub models list.',
    );
  });
}

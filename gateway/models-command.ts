import { createInterface } from 'node:readline/promises';
import { MonotonicClock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { sizeText } from '../models/store/free-space.ts';
import { type Entry, cardsOf, manifest } from '../models/store/manifest.ts';
import { type Direction, LIPS, USUAL, modelsOf, profile } from '../models/store/profiles.ts';
import { type Failure, type Plan, plan, pull } from '../models/store/pull.ts';
import { type Holding, Store, type StoreScope } from '../models/store/store.ts';
import { StoreError } from '../models/store/store-error.ts';
import type { ModelCard } from '../models/store/weights.ts';
import type { Language } from '../pipeline/domain.ts';
import { type ModelsRequest, UsageError } from './commands.ts';
import { PullProgress } from './pull-progress.ts';
import { table } from './table.ts';

type Pull = Extract<ModelsRequest, { do: 'pull' }>;

/** Where the command writes and asks; a test gives its own. */
export interface Desk {
  readonly out: (text: string) => void;
  readonly err: NodeJS.WriteStream;
  readonly input: NodeJS.ReadStream;
  readonly entries: readonly Entry[];
  readonly mirror: string | undefined;
}
const desk = (): Desk => ({
  out: (text) => void process.stdout.write(`${text}\n`),
  err: process.stderr,
  input: process.stdin,
  entries: manifest(),
  mirror: process.env['LIVEDUB_MODELS_MIRROR'] || undefined,
});

const FAILED = 1;
const STOPPED = 130;

/** `livedub models …`. Answers the exit code. */
export async function models(request: ModelsRequest, scope: Scope, given: Partial<Desk> = {}): Promise<number> {
  const at = { ...desk(), ...given };
  const store = new Store();
  const world: StoreScope = { signal: scope.signal, clock: new MonotonicClock() };
  try {
    switch (request.do) {
      case 'list':
        return await list(store, at, request.json);
      case 'pull':
        return await fetchModels(store, at, request, scope);
      case 'serve': {
        const { serveModels } = await import('./model-serving.ts');
        return await serveModels(request, at, scope);
      }
      case 'triton': {
        const { tritonModels } = await import('./model-serving.ts');
        return await tritonModels(request, at, scope);
      }
      case 'verify':
        return await verify(store, at, request.names, world);
      case 'remove':
        return await remove(store, at, request.names, request.forget, world);
    }
  } catch (thrown) {
    if (thrown instanceof StoreError && thrown.trouble === 'unknown')
      throw new UsageError(`${thrown.message} ${thrown.fix}`, { cause: thrown });
    throw thrown;
  }
}

const languages = (card: ModelCard) =>
  card.languages === 'any' ? 'any' : card.languages.length > 6 ? `${card.languages.length}` : card.languages.join(' ');
const size = (bytes: number | undefined) => (bytes === undefined ? '?' : sizeText(bytes));

function state({ presence, bytes, of }: Holding): string {
  if (presence !== 'partial') return presence;
  return of ? `partial, ${Math.floor((bytes / of) * 100)} %` : `partial, ${sizeText(bytes)}`;
}

async function list(store: Store, { entries, out }: Desk, json: boolean): Promise<number> {
  const rows = await Promise.all(entries.map(async (entry) => ({ ...entry, held: await store.holding(entry.card) })));
  if (json) {
    const cards = rows.map(({ card, serves, held }) => ({
      ...card,
      serves,
      state: held.presence,
      bytes: held.of ?? null,
      stored: held.bytes,
      directory: store.directory(card),
    }));
    out(JSON.stringify(cards, null, 2));
    return 0;
  }
  const cells = rows.map(({ card, serves, held }) => [
    card.name,
    serves.join(' '),
    languages(card),
    card.terms === undefined ? card.licence : `${card.licence} (${card.terms})`,
    size(held.of),
    card.device.toUpperCase(),
    card.speed ?? '',
    state(held),
  ]);
  out(table([['model', 'serves', 'languages', 'licence', 'size', 'on', 'measured speed', 'state'], ...cells]));
  out(`\nKept in ${store.root}`);
  return 0;
}

async function fetchModels(store: Store, at: Desk, request: Pull, scope: Scope): Promise<number> {
  const { entries, err } = at;
  if (request.names.length === 0 && request.profile === undefined && !request.lips)
    throw new UsageError('Say which models: livedub models pull NAME, or livedub models pull --profile cpu.');
  const ofProfile =
    request.profile === undefined ? [] : modelsOf(profile(request.profile), directionsOf(request.pairs));
  const named = [...new Set([...request.names, ...ofProfile, ...(request.lips ? modelsOf(LIPS) : [])])];
  if (named.length === 0) at.out(`The profile ${request.profile} needs no models.`);
  const work = await plan(store, cardsOf(named, entries));
  for (const { name } of work.present) at.out(`${name} is there.`);
  if (work.cards.length === 0) return 0;
  await settleTerms(store, at, work.cards, request.acceptLicence, scope.signal);

  err.write(`${summary(work)} into ${store.root}\n`);
  const started = performance.now();
  const told = new Set<ModelCard>();
  let failures: readonly Failure[];
  try {
    using progress = new PullProgress(work.items, err);
    const onChange = () => {
      for (const card of work.cards) {
        const items = work.items.filter((item) => item.card === card);
        if (told.has(card) || !items.every((item) => item.state === 'done')) continue;
        told.add(card);
        progress.say(`✔ ${card.name}  ${size(items.reduce((sum, { have }) => sum + have, 0))}`);
      }
    };
    const mirror = request.from === undefined ? (request.mirror ?? at.mirror) : undefined;
    const { from, parallel } = request;
    failures = await pull(store, work, { from, mirror: checked(mirror), parallel, onChange }, scope.signal);
  } catch (thrown) {
    if (!scope.signal.aborted) throw thrown;
    const have = work.items.reduce((sum, item) => sum + item.have, 0);
    err.write(`Stopped. ${sizeText(have)} is kept; the same command goes on from there.\n`);
    return STOPPED;
  }
  for (const { error } of failures) err.write(`✘ ${sentence(error)}\n`);
  const took = ((performance.now() - started) / 1_000).toFixed(1);
  const came = work.cards.length - failures.length;
  if (came > 0) at.out(`${came} ${came === 1 ? 'model' : 'models'} in ${took} s. Kept in ${store.root}`);
  return failures.length === 0 ? 0 : FAILED;
}

function directionsOf(pairs: readonly string[] | undefined): Direction[] {
  return (pairs ?? [`${USUAL.from}:${USUAL.to}`]).map((pair) => {
    const [from = '', to = '', ...rest] = pair.split(':');
    if (from === '' || to === '' || rest.length > 0)
      throw new UsageError(`'${pair}' is no pair of languages. Give two with a colon between them, such as en:es.`);
    return { from: from as Language, to: to as Language };
  });
}

function summary({ cards, items, bytes }: Plan): string {
  const files = items.filter((item) => item.state !== 'done').length;
  const unknown = items.some((item) => item.total === undefined);
  const much = bytes === 0 && unknown ? 'of unknown size' : `${unknown ? 'more than ' : ''}${sizeText(bytes)}`;
  const what = cards.length === 1 ? `${cards[0]?.name}` : `${cards.length} models`;
  return `Fetching ${what}: ${files} ${files === 1 ? 'file' : 'files'}, ${much},`;
}

function checked(mirror: string | undefined): string | undefined {
  if (mirror === undefined) return undefined;
  if (URL.canParse(mirror) && /^https?:$/.test(new URL(mirror).protocol)) return mirror;
  throw new UsageError(`'${mirror}' is no mirror. Give an address such as https://models.example.org/livedub.`);
}

/** Shows the terms of weights that may not be used for everything, once, and asks whether they are accepted. */
async function settleTerms(
  store: Store,
  at: Desk,
  cards: readonly ModelCard[],
  accept: boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const card of cards) {
    if (card.terms === undefined || (await store.accepted(card))) continue;
    at.err.write(
      `${card.name}: ${card.summary}\n  Licence: ${card.licence}. These weights may not be used commercially.\n  Terms: ${card.home}\n`,
    );
    if (!accept) await ask(at, card, signal);
    await store.accept(card);
  }
}

async function ask({ input, err }: Desk, card: ModelCard, signal: AbortSignal): Promise<void> {
  const how = `livedub models pull ${card.name} --accept-licence`;
  if (!input.isTTY) throw new UsageError(`The licence of ${card.name} has to be accepted. Read it, then: ${how}`);
  const terminal = createInterface({ input, output: err });
  const gone = new AbortController();
  // Ctrl-C and Ctrl-D close it, and leave a question without an answer.
  terminal.once('close', () => gone.abort());
  try {
    const either = AbortSignal.any([signal, gone.signal]);
    const answer = await terminal.question('  Do you accept them? [y/N] ', { signal: either }).catch(() => '');
    if (!/^y(es)?$/i.test(answer.trim()))
      throw new UsageError(`The licence of ${card.name} was not accepted; nothing was fetched.`);
  } finally {
    terminal.close();
  }
}

async function verify(store: Store, { entries, out }: Desk, names: readonly string[], world: StoreScope) {
  const cards = cardsOf(names, entries);
  if (names.length === 0)
    for (const { card } of entries) if ((await store.holding(card)).presence !== 'absent') cards.push(card);
  if (cards.length === 0) out(`No model is in ${store.root}.`);
  let wrong = 0;
  for (const card of cards) {
    const fixes = new Set<string>();
    for await (const { file, state, what, fix } of store.verify(card, world)) {
      if (state === 'recorded') out(`✔ ${card.name}: ${file}: ${what}`);
      if (!fix) continue;
      out(`✘ ${card.name}: ${file}: ${what}`);
      fixes.add(fix);
    }
    for (const fix of fixes) out(`  ${fix}`);
    if (fixes.size > 0) wrong++;
    else out(`✔ ${card.name}`);
  }
  return wrong === 0 ? 0 : FAILED;
}

async function remove(store: Store, at: Desk, names: readonly string[], forget: boolean, world: StoreScope) {
  for (const card of cardsOf(names, at.entries)) {
    const freed = await store.remove(card, world, { forget });
    at.out(freed === 0 ? `${card.name}: nothing became free.` : `${card.name} removed, ${sizeText(freed)} free.`);
  }
  return 0;
}

const sentence = (thrown: unknown) => {
  if (thrown instanceof StoreError) return `${thrown.message} ${thrown.fix}`;
  return thrown instanceof Error ? thrown.message : String(thrown);
};

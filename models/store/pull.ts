import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MonotonicClock } from '../../media/clock.ts';
import { PATIENCE, type Patience, download } from './download.ts';
import { needSpace } from './free-space.ts';
import { BODY, type Expected, PartialFile, wrongHash } from './partial-file.ts';
import { Shelf } from './shelf.ts';
import type { Store, StoreScope } from './store.ts';
import { StoreError } from './store-error.ts';
import type { ModelCard, ModelFile } from './weights.ts';

/** A file on its way into the store. Its numbers change while it is being pulled. */
export interface Item {
  readonly card: ModelCard;
  readonly file: ModelFile;
  state: 'waiting' | 'coming' | 'done' | 'failed';
  /** Bytes that are there. */
  have: number;
  /** Bytes of the whole; unknown until the server says so. */
  total: number | undefined;
  /** Why nothing moves at present. */
  note: string;
}

/** What a pull has to do. */
export interface Plan {
  readonly cards: readonly ModelCard[];
  /** Models that are there already. */
  readonly present: readonly ModelCard[];
  readonly items: readonly Item[];
  /** Bytes still to come, as far as is known. */
  readonly bytes: number;
}

export interface PullOptions {
  /** A directory that files are taken from in place of the network. */
  readonly from?: string | undefined;
  /** An address that has `<sha256>` or `<name>/<file>`, in place of the files' own. */
  readonly mirror?: string | undefined;
  /** Files at once. */
  readonly parallel?: number | undefined;
  readonly patience?: Patience;
  /** Called when an item has changed. */
  readonly onChange?: (item: Item) => void;
}
export interface Failure {
  readonly card: ModelCard;
  readonly error: unknown;
}

/** How often a model is fetched again when somebody removes its files while it is being put in place. */
const ROUNDS = 3;
const PARALLEL = 3;

/** What is missing of `cards`. */
export async function plan(store: Store, cards: readonly ModelCard[]): Promise<Plan> {
  const present: ModelCard[] = [];
  const wanted: ModelCard[] = [];
  const items: Item[] = [];
  for (const card of new Set(cards)) {
    if ((await store.holding(card)).presence === 'present') present.push(card);
    else {
      wanted.push(card);
      for (const file of card.files) items.push(await itemOf(store, card, file));
    }
  }
  const coming = new Map(
    items.map((item) => [item.file.sha256 ?? item.file.url, Math.max(0, (item.total ?? 0) - item.have)]),
  );
  return { cards: wanted, present, items, bytes: [...coming.values()].reduce((sum, bytes) => sum + bytes, 0) };
}

async function itemOf(store: Store, card: ModelCard, file: ModelFile): Promise<Item> {
  const expected = await store.expected(card, file);
  const total = await store.size(card, file);
  if (expected && (await store.holds(expected.sha256)))
    return { card, file, state: 'done', have: total ?? 0, total, note: '' };
  return { card, file, state: 'waiting', have: await store.begun(file, expected), total, note: '' };
}

/**
 * Fetches what a plan lacks and puts each model in its place when all of it is there.
 *
 * One model's failure costs the others nothing; a full disk and the signal end everything. What was fetched of a file
 * stays and is continued by the next pull, whichever way this one ends.
 *
 * @returns the models that did not come, and why
 * @throws StoreError `room`, before anything is fetched if the disk is too full already; the signal's reason
 */
export async function pull(
  store: Store,
  { cards, items, bytes }: Plan,
  options: PullOptions,
  signal: AbortSignal,
): Promise<readonly Failure[]> {
  const failures = new Map<ModelCard, unknown>();
  if (cards.length === 0) return [];
  await needSpace(store.root, bytes, cards.length === 1 ? `${cards[0]?.name}` : `these ${cards.length} models`);
  const shelf = options.from === undefined ? undefined : await Shelf.open(options.from, signal);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const fetcher = new Fetcher(store, options, shelf, either);

  const queue = items.values();
  const left = new Map(cards.map((card) => [card, card.files.length]));
  const work = async () => {
    for (const item of queue) {
      const { card } = item;
      if (failures.has(card)) continue;
      try {
        await fetcher.fetch(item);
        left.set(card, (left.get(card) ?? 0) - 1);
        if (left.get(card) === 0) await fetcher.land(card, items);
      } catch (thrown) {
        either.throwIfAborted();
        item.state = 'failed';
        failures.set(card, thrown);
        options.onChange?.(item);
        // What does not fit for one does not fit for the next either.
        if (thrown instanceof StoreError && (thrown.trouble === 'room' || thrown.trouble === 'denied'))
          stop.abort(thrown);
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: options.parallel ?? PARALLEL }, work));
  signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return [...failures].map(([card, error]) => ({ card, error }));
}

class Fetcher {
  readonly #store: Store;
  readonly #options: PullOptions;
  readonly #shelf: Shelf | undefined;
  readonly #signal: AbortSignal;
  readonly #clock = new MonotonicClock();

  constructor(store: Store, options: PullOptions, shelf: Shelf | undefined, signal: AbortSignal) {
    this.#store = store;
    this.#options = options;
    this.#shelf = shelf;
    this.#signal = signal;
  }

  /** Brings one file into the store, unless it is there or another process brings it meanwhile. */
  async fetch(item: Item): Promise<void> {
    const { card, file } = item;
    const store = this.#store;
    this.#signal.throwIfAborted();
    const before = await store.expected(card, file);
    if (!before || !(await store.holds(before.sha256))) {
      const claim = await store.workplace(file, before, this.#scope(item));
      try {
        this.#change(item, { state: 'coming', note: '' });
        // Who had it before us may have finished it.
        const expected = await store.expected(card, file);
        if (!expected || !(await store.holds(expected.sha256))) {
          const signal = AbortSignal.any([this.#signal, claim.lost]);
          const sha256 = this.#shelf
            ? await this.#copy(item, this.#shelf, expected, claim.directory, signal)
            : await this.#download(item, expected, claim.directory, signal);
          if (!expected) await this.#record(item, sha256);
          await store.keep(claim.directory, sha256);
        }
        await claim.drop();
      } catch (thrown) {
        // Of what came wrong nothing stays; what came so far stays for the next who wants it.
        const wrong = thrown instanceof StoreError && (thrown.trouble === 'checksum' || thrown.trouble === 'length');
        const begun = await stat(join(claim.directory, BODY)).catch(() => undefined);
        await (wrong || !begun?.size ? claim.drop() : claim.release());
        throw thrown;
      }
    }
    this.#change(item, { state: 'done', note: '', have: item.total ?? item.have });
  }

  /** Puts a model in its place. What somebody removed meanwhile is fetched again. */
  async land(card: ModelCard, items: readonly Item[]): Promise<void> {
    for (let round = 0; ; round++) {
      const lacking = await this.#store.land(card, { signal: this.#signal, clock: this.#clock });
      if (lacking.length === 0) return;
      if (round === ROUNDS) {
        const names = lacking.map(({ name }) => name).join(', ');
        throw new StoreError('absent', `${card.name}: ${names} is removed each time it has come.`, 'Pull again.');
      }
      for (const item of items) if (item.card === card && lacking.includes(item.file)) await this.fetch(item);
    }
  }

  async #record({ card, file, have }: Item, sha256: string): Promise<void> {
    const scope = { signal: this.#signal, clock: this.#clock };
    const held = await this.#store.record(card, file, sha256, have, scope);
    if (held !== sha256)
      throw wrongHash(`${card.name}: ${file.name}`, card.name, file.url, sha256, { sha256: held, by: 'recorded' });
  }

  #download(item: Item, expected: Expected | undefined, folder: string, signal: AbortSignal): Promise<string> {
    const { card, file } = item;
    const { mirror, patience = PATIENCE } = this.#options;
    const order = {
      model: card.name,
      what: `${card.name}: ${file.name}`,
      urls: mirror === undefined ? [file.url] : mirrored(mirror, card, file, expected),
      bytes: file.bytes,
      expected,
    };
    return download(order, folder, {
      signal,
      clock: this.#clock,
      patience,
      onBytes: (have, total) => this.#change(item, { have, total: total ?? item.total, note: '' }),
      onTrouble: (note) => this.#change(item, { note }),
    });
  }

  async #copy(item: Item, shelf: Shelf, expected: Expected | undefined, folder: string, signal: AbortSignal) {
    const { card, file } = item;
    const what = `${card.name}: ${file.name}`;
    const path = await shelf.find(card, file, expected, signal);
    await using copy = await PartialFile.open(folder, what, signal);
    await copy.restart();
    await using source = await open(path);
    const total = (await source.stat()).size;
    await needSpace(this.#store.root, total, what);
    for await (const bytes of source.createReadStream({ highWaterMark: 1 << 20, autoClose: false })) {
      signal.throwIfAborted();
      await copy.append(bytes as Buffer);
      this.#change(item, { have: copy.size, total });
    }
    // It may have changed since it was found.
    const got = copy.digest();
    if (expected && got !== expected.sha256) {
      await copy.restart();
      throw wrongHash(what, card.name, path, got, expected);
    }
    await copy.settle();
    return got;
  }

  #scope(item: Item): StoreScope {
    const onWait = () => this.#change(item, { note: 'another livedub fetches it' });
    return { signal: this.#signal, clock: this.#clock, onWait };
  }
  #change(item: Item, news: Partial<Item>): void {
    Object.assign(item, news);
    this.#options.onChange?.(item);
  }
}

/** Where a mirror may have a file: by its content first, which is the same under any name. */
export function mirrored(mirror: string, card: ModelCard, file: ModelFile, expected: Expected | undefined): string[] {
  const base = mirror.replace(/\/*$/, '');
  const named = `${base}/${card.name}/${file.name.split('/').map(encodeURIComponent).join('/')}`;
  return expected ? [`${base}/${expected.sha256}`, named] : [named];
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** States of a phone, left to right; each can last, or pass on to the next. */
export const STATES = 3;
/** Cepstra, their slopes, their bends: 13 each. */
const STREAMS = 3;
const STREAM = 13;
export const FEATURES = STREAMS * STREAM;

/** The model's files in its directory. */
export const ACOUSTIC_FILES: readonly string[] = ['mdef', 'means', 'variances', 'sendump', 'transition_matrices'];

/** Every file of the kind `s3` carries this word after its header. */
const BYTE_ORDER = 0x11223344;
/** Least variance of a Gaussian, as the recogniser has it. */
const LEAST_VARIANCE = 1e-4;
/** A mixture weight is a byte: minus its logarithm to base 1.0001, over 1024. */
const WEIGHT_UNIT = 1_024 * Math.log(1.0001);

/** Numbers of a file one after the other. */
class Reader {
  readonly #bytes: Buffer;
  readonly #file: string;
  #at = 0;

  constructor(file: string) {
    this.#file = file;
    this.#bytes = readFileSync(file);
  }

  int(): number {
    return this.#bytes.readInt32LE(this.#move(4));
  }
  ints(count: number): number[] {
    return Array.from({ length: count }, () => this.int());
  }
  floats(count: number): Float32Array {
    const from = this.#move(4 * count);
    return Float32Array.from({ length: count }, (_, n) => this.#bytes.readFloatLE(from + 4 * n));
  }
  bytes(count: number): Uint8Array {
    const from = this.#move(count);
    return this.#bytes.subarray(from, from + count);
  }
  /** Text up to a zero byte. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw this.wrong('a text has no end');
    return this.#bytes.toString('latin1', this.#move(end + 1 - this.#at), end);
  }
  skip(count: number): void {
    this.#move(count);
  }
  /** Skips what comes before the numbers in a file of the kind `s3`. */
  header(): void {
    const end = this.#bytes.indexOf('endhdr\n');
    if (end < 0 || this.#bytes.toString('latin1', 0, 3) !== 's3\n') throw this.wrong('it has no s3 header');
    this.#at = end + 'endhdr\n'.length;
    if (this.int() !== BYTE_ORDER) throw this.wrong('its bytes are not in little-endian order');
  }
  wrong(what: string): Error {
    return new Error(`Cannot read the acoustic model ${this.#file}: ${what}`);
  }

  #move(count: number): number {
    const from = this.#at;
    if (count < 0 || from + count > this.#bytes.length) throw this.wrong('it ends too early');
    this.#at = from + count;
    return from;
  }
}

/** Numbers of a node of the model's tree. */
const NODE = 3;

/** Where in its word a phone stands. */
export type Position = 'inside' | 'begins' | 'ends' | 'alone';
/** In the order in which the model numbers them. */
const POSITIONS: readonly Position[] = ['inside', 'begins', 'ends', 'alone'];

/** Phones and which of the model's output densities their states have. */
interface Definition {
  readonly phones: readonly string[];
  /** Densities of the whole model, those of phones in context included. */
  readonly densities: number;
  /**
   * The tree that leads from a position, a phone, and its left and right neighbours to an entry. Of each node: its
   * name, how many nodes of the next level it has (none at a leaf), and the first of those, or the entry.
   */
  readonly tree: Int32Array;
  /** `STATES` densities for each phone without context, then for each phone in a context. */
  readonly entries: Uint16Array;
  /** The transition matrix of each phone. */
  readonly transitions: readonly number[];
}

/** Reads `mdef` in its binary form (pocketsphinx, `bin_mdef.c`). */
function readDefinition(file: string): Definition {
  const reader = new Reader(file);
  if (Buffer.from(reader.bytes(4)).toString('latin1') !== 'BMDF') throw reader.wrong('it is no binary mdef');
  reader.int();
  reader.skip(reader.int());
  const [count = 0, all = 0, states = 0, , densities = 0, , sequences = 0, , nodes = 0] = reader.ints(10);
  if (states !== STATES) throw reader.wrong(`its phones have ${states} states, and ${STATES} are known here`);
  const phones = Array.from({ length: count }, () => reader.text());
  const named = phones.reduce((length, phone) => length + phone.length + 1, 0);
  reader.skip((4 - (named % 4)) % 4);
  const tree = new Int32Array(nodes * NODE);
  for (let at = 0; at < tree.length; at += NODE) {
    const both = reader.int();
    tree[at] = (both << 16) >> 16;
    tree[at + 1] = both >> 16;
    tree[at + 2] = reader.int();
  }
  const listed = new Int32Array(all);
  const transitions: number[] = [];
  for (let entry = 0; entry < all; entry += 1) {
    listed[entry] = reader.int();
    const matrix = reader.int();
    if (entry < count) transitions.push(matrix);
    reader.skip(4);
  }
  reader.int();
  const ids = Buffer.from(reader.bytes(2 * sequences * STATES));
  const entries = Uint16Array.from({ length: all * STATES }, (_, n) =>
    ids.readUInt16LE(2 * (listed[Math.floor(n / STATES)]! * STATES + (n % STATES))),
  );
  return { phones, densities, tree, entries, transitions };
}

/** Reads `means` or `variances`: for each phone, stream and Gaussian, the stream's coefficients. */
function readGaussians(file: string, phones: number): { readonly data: Float32Array; readonly mixtures: number } {
  const reader = new Reader(file);
  reader.header();
  const [books = 0, streams = 0, mixtures = 0, ...widths] = reader.ints(3 + STREAMS);
  const count = reader.int();
  if (books !== phones || streams !== STREAMS || widths.some((width) => width !== STREAM)) {
    throw reader.wrong(`it is not a model with a codebook of ${STREAMS} times ${STREAM} coefficients for each phone`);
  }
  if (count !== books * mixtures * FEATURES) throw reader.wrong('its counts contradict each other');
  return { data: reader.floats(count), mixtures };
}

/** Reads `sendump`: a byte for each Gaussian of each stream of each density of the model. */
function readWeights(file: string, { densities }: Definition, mixtures: number): Uint8Array {
  const reader = new Reader(file);
  for (let length = reader.int(); length > 0; length = reader.int()) {
    const [name, value] = Buffer.from(reader.bytes(length)).toString('latin1').replace(/\0$/, '').split(' ');
    if (name === 'cluster_count' && value !== '0') throw reader.wrong('its weights are clustered');
  }
  const [rows, columns = 0] = reader.ints(2);
  if (rows !== mixtures || columns < densities) throw reader.wrong('its counts are not those of the other files');
  const weights = new Uint8Array(densities * STREAMS * mixtures);
  for (let stream = 0; stream < STREAMS; stream += 1) {
    for (let mixture = 0; mixture < mixtures; mixture += 1) {
      const row = reader.bytes(columns);
      for (let id = 0; id < densities; id += 1) weights[(id * STREAMS + stream) * mixtures + mixture] = row[id]!;
    }
  }
  return weights;
}

/** Reads `transition_matrices`: how likely each state of a phone is to last another frame. */
function readStays(file: string, { transitions }: Definition): Float32Array {
  const reader = new Reader(file);
  reader.header();
  const [matrices = 0, from, to] = reader.ints(4);
  if (from !== STATES || to !== STATES + 1) throw reader.wrong('its matrices are not those of three states');
  const all = reader.floats(matrices * STATES * (STATES + 1));
  return Float32Array.from({ length: transitions.length * STATES }, (_, n) => {
    const state = n % STATES;
    const row = (transitions[Math.floor(n / STATES)]! * STATES + state) * (STATES + 1);
    const [stay, leave] = [all[row + state]!, all[row + state + 1]!];
    return stay / (stay + leave);
  });
}

/** What a byte of a mixture weight stands for. */
const WEIGHTS = Float64Array.from({ length: 256 }, (_, byte) => Math.exp(-byte * WEIGHT_UNIT));

/**
 * How well a frame of sound fits the states of a phone, taken without its neighbours or between them.
 *
 * A phonetically tied mixture model of CMU Sphinx: each phone has a codebook of Gaussians in each of three streams of
 * coefficients, and each state, of a phone alone or in a context, weighs them its own way. Read from PocketSphinx's
 * files as they are.
 *
 * @see https://github.com/cmusphinx/pocketsphinx, `ptm_mgau.c`, `ms_gauden.c`, `bin_mdef.c`, `tmat.c`
 */
export class PhoneModel {
  readonly phones: readonly string[];
  /** Natural logarithms of staying in a state for another frame and of leaving it; `STATES` of each phone. */
  readonly stay: Float32Array;
  readonly leave: Float32Array;
  readonly #definition: Definition;
  readonly #means: Float32Array;
  /** 1/(2σ²). */
  readonly #sharpness: Float32Array;
  readonly #constants: Float32Array;
  readonly #weights: Uint8Array;
  readonly #mixtures: number;
  readonly #near: Float64Array;

  /** @param folder a directory with {@link ACOUSTIC_FILES} */
  constructor(folder: string) {
    const definition = readDefinition(join(folder, 'mdef'));
    const { phones } = definition;
    const means = readGaussians(join(folder, 'means'), phones.length);
    const variances = readGaussians(join(folder, 'variances'), phones.length);
    const { mixtures } = means;
    const stays = readStays(join(folder, 'transition_matrices'), definition);
    this.phones = phones;
    this.stay = stays.map((stay) => Math.log(stay));
    this.leave = stays.map((stay) => Math.log(1 - stay));
    this.#definition = definition;
    this.#mixtures = mixtures;
    this.#means = means.data;
    const floored = variances.data.map((variance) => Math.max(variance, LEAST_VARIANCE));
    this.#sharpness = floored.map((variance) => 1 / (2 * variance));
    this.#constants = Float32Array.from({ length: floored.length / STREAM }, (_, n) =>
      floored
        .subarray(n * STREAM, (n + 1) * STREAM)
        .reduce((sum, variance) => sum - Math.log(2 * Math.PI * variance) / 2, 0),
    );
    this.#weights = readWeights(join(folder, 'sendump'), definition, mixtures);
    this.#near = new Float64Array(mixtures);
  }

  /**
   * Natural logarithms of the likelihoods of one frame in every state of every phone without context.
   *
   * @param features `FEATURES` coefficients
   * @param out `STATES` of each phone, phone after phone
   */
  score(features: Float32Array, out: Float32Array): void {
    const { entries } = this.#definition;
    for (let phone = 0; phone < this.phones.length; phone += 1) {
      this.fit(features, phone, entries, phone * STATES, out, phone * STATES);
    }
  }

  /**
   * Natural logarithms of the likelihoods of one frame in the `STATES` states of a phone.
   *
   * @param densities their densities, from `from` on; from {@link between}
   * @param out they are written from `at` on
   */
  fit(
    features: Float32Array,
    phone: number,
    densities: Uint16Array,
    from: number,
    out: Float32Array,
    at: number,
  ): void {
    const mixtures = this.#mixtures;
    const [means, sharpness, constants, weights, near] = [
      this.#means,
      this.#sharpness,
      this.#constants,
      this.#weights,
      this.#near,
    ];
    out.fill(0, at, at + STATES);
    for (let stream = 0; stream < STREAMS; stream += 1) {
      const book = phone * STREAMS + stream;
      let best = -Infinity;
      let next = book * mixtures * STREAM;
      for (let mixture = 0; mixture < mixtures; mixture += 1) {
        let closeness = constants[book * mixtures + mixture]!;
        for (let n = stream * STREAM; n < (stream + 1) * STREAM; n += 1, next += 1) {
          const away = features[n]! - means[next]!;
          closeness -= away * away * sharpness[next]!;
        }
        near[mixture] = closeness;
        if (closeness > best) best = closeness;
      }
      for (let mixture = 0; mixture < mixtures; mixture += 1) near[mixture] = Math.exp(near[mixture]! - best);
      for (let state = 0; state < STATES; state += 1) {
        const row = (densities[from + state]! * STREAMS + stream) * mixtures;
        let sum = 0;
        for (let mixture = 0; mixture < mixtures; mixture += 1)
          sum += near[mixture]! * WEIGHTS[weights[row + mixture]!]!;
        out[at + state]! += best + Math.log(sum);
      }
    }
  }

  /**
   * The `STATES` densities of a phone between two others; those of the phone alone where the model has not heard the
   * like. Backs off as PocketSphinx does: to other places in the word, then to silence beyond the word's edge.
   */
  between(left: number, phone: number, right: number, position: Position): Uint16Array {
    const silence = this.phones.indexOf('SIL');
    const edge = position === 'begins' || position === 'alone' ? silence : left;
    const other = position === 'ends' || position === 'alone' ? silence : right;
    const places = [position, ...POSITIONS.filter((each) => each !== position)];
    const entry =
      places.map((place) => this.#entry(left, phone, right, place)).find((each) => each !== undefined) ??
      places.map((place) => this.#entry(edge, phone, other, place)).find((each) => each !== undefined) ??
      phone;
    return this.#definition.entries.subarray(entry * STATES, (entry + 1) * STATES);
  }

  #entry(left: number, phone: number, right: number, position: Position): number | undefined {
    const { tree } = this.#definition;
    let [from, count] = [0, POSITIONS.length];
    for (const name of [POSITIONS.indexOf(position), phone, left, right]) {
      let node = from;
      while (node < from + count && tree[node * NODE] !== name) node += 1;
      if (node === from + count) return undefined;
      const [below, next] = [tree[node * NODE + 1]!, tree[node * NODE + 2]!];
      if (below === 0) return next < 0 ? undefined : next;
      [from, count] = [next, below];
    }
    return undefined;
  }
}

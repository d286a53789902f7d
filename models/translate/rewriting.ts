/**
 * SentencePiece's rewriting rules: what is written another way before it is cut into pieces (`ﬁ` → `fi`).
 *
 * The rules are a double-array trie over UTF-8 bytes followed by the replacements, each ended by a NUL; the trie's
 * values are offsets into them. Of several rules that begin at a character the longest is applied.
 *
 * @see https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
 * @see https://github.com/s-yata/darts-clone
 */
export class Rewriting {
  readonly #trie: Uint32Array;
  readonly #replacements: Uint8Array;

  /** @param rules `precompiled_charsmap` of a tokenizer's `NormalizerSpec`; empty for none */
  constructor(rules: Uint8Array) {
    if (rules.length === 0) {
      this.#trie = new Uint32Array();
      this.#replacements = rules;
      return;
    }
    const view = new DataView(rules.buffer, rules.byteOffset, rules.byteLength);
    const size = view.getUint32(0, true);
    if (size % 4 !== 0 || 4 + size > rules.length) {
      throw new RangeError(`Cannot read rewriting rules: a trie of ${size} bytes does not fit in ${rules.length}`);
    }
    this.#trie = Uint32Array.from({ length: size / 4 }, (_, n) => view.getUint32(4 + 4 * n, true));
    this.#replacements = rules.subarray(4 + size);
  }

  /** The text as the rules write it. */
  apply(text: string): string {
    if (this.#trie.length === 0) return text;
    const bytes = new TextEncoder().encode(text);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const rule = this.#longest(bytes, at);
      const taken = rule?.taken ?? widthOf(bytes[at] ?? 0);
      parts.push(rule ? this.#replacement(rule.offset) : bytes.subarray(at, at + taken));
      at += taken;
    }
    return Buffer.concat(parts).toString('utf8');
  }

  #longest(bytes: Uint8Array, start: number): { taken: number; offset: number } | undefined {
    let found: { taken: number; offset: number } | undefined;
    let node = offsetOf(this.#trie[0] ?? 0);
    for (let at = start; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      node ^= byte;
      const unit = this.#trie[node];
      // A leaf's label has the highest bit set, so that no byte is taken for one.
      if (unit === undefined || (unit & 0x8000_00ff) >>> 0 !== byte) break;
      node ^= offsetOf(unit);
      if ((unit & 0x100) !== 0) found = { taken: at + 1 - start, offset: (this.#trie[node] ?? 0) & 0x7fff_ffff };
    }
    return found;
  }

  #replacement(offset: number): Uint8Array {
    return this.#replacements.subarray(offset, this.#replacements.indexOf(0, offset));
  }
}

/** How far a unit's children lie from it, to be combined by exclusive or. */
const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
/** How many bytes the character has that begins with `byte`. */
const widthOf = (byte: number) => (byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4);

/** Bytes that may wait for a slow disk. */
const LIMIT = 4 << 20;

/**
 * The pieces of a response, taken off the line as they come.
 *
 * A web stream that fails throws away what has come and was not read yet. Read late, a connection that is cut early
 * would never bring anything; read at once, what was sent before the cut counts.
 */
export class Inflow {
  readonly #onPiece: () => void;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #state: { readonly ended: boolean; readonly failure?: unknown } = { ended: false };
  #stir = () => {};

  /** @param onPiece called as each piece comes */
  constructor(body: ReadableStream<Uint8Array> | null, onPiece: () => void) {
    this.#onPiece = onPiece;
    void this.#read(body);
  }

  /** Yields what has come before it throws why no more does. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#waiting.shift();
      if (piece) {
        this.#bytes -= piece.length;
        this.#stir();
        yield piece;
      } else if (this.#state.ended) {
        if ('failure' in this.#state) throw this.#state.failure;
        return;
      } else await this.#stirred();
    }
  }

  async #read(body: ReadableStream<Uint8Array> | null): Promise<void> {
    try {
      const reader = body?.getReader();
      for (;;) {
        const { value } = (await reader?.read()) ?? {};
        if (!value) break;
        this.#onPiece();
        this.#waiting.push(value);
        this.#bytes += value.length;
        this.#stir();
        while (this.#bytes > LIMIT) await this.#stirred();
      }
      this.#state = { ended: true };
    } catch (failure) {
      this.#state = { ended: true, failure };
    }
    this.#stir();
  }

  /** Resolves when either side has moved. Only one side waits at a time: one for bytes, the other for room. */
  #stirred(): Promise<void> {
    return new Promise((done) => (this.#stir = done));
  }
}

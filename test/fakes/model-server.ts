import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One way to answer a request. */
export type Mischief =
  | 'none'
  /** Sends this many bytes of what was asked for, then hangs up. */
  | { readonly cutAfter: number }
  /** Sends this many bytes, then nothing any more, and does not hang up. */
  | { readonly stallAfter: number }
  | { readonly status: number; readonly headers?: Record<string, string> }
  /** Says that the whole has this length, sends what there is and hangs up. */
  | { readonly claims: number }
  /** Sends this more, without saying a length. */
  | { readonly extra: number }
  /** Sends this many bytes less, without saying a length, and says that this was all. */
  | { readonly lacks: number }
  /** One byte is another. */
  | { readonly flips: number }
  /** Sends all, whatever was asked. */
  | 'ignores ranges'
  /** Has another version now, and answers a range of it although it was asked not to. */
  | { readonly changedTo: Uint8Array; readonly etag: string }
  | { readonly redirect: string; readonly headers?: Record<string, string> };

export interface Published {
  body: Uint8Array;
  /** With its quotes; none when not given. */
  etag?: string;
  modified?: string;
}

/** An HTTP server on the loopback interface that publishes files, and behaves as badly as it is told to. */
export class ModelServer implements AsyncDisposable {
  readonly files = new Map<string, Published>();
  /** What the next requests get, in order; honest answers when it is empty. */
  readonly mischief: Mischief[] = [];
  /** Paths with the range that was asked for. */
  readonly asked: { path: string; range: string | undefined; ifRange: string | undefined }[] = [];
  /** Bytes of bodies that were sent. */
  sent = 0;
  /** Bytes per write, with a pause between two: for a server that has to be caught in the middle. */
  slow: { bytes: number; every: number } | undefined;
  onStall: () => void = () => {};
  readonly #server = createServer((request, reply) => this.#answer(request, reply));
  #url = '';

  static async open(): Promise<ModelServer> {
    const made = new ModelServer();
    await new Promise<void>((done) => made.#server.listen(0, '127.0.0.1', done));
    made.#url = `http://127.0.0.1:${(made.#server.address() as AddressInfo).port}`;
    return made;
  }

  get url(): string {
    return this.#url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #answer(request: IncomingMessage, reply: ServerResponse): void {
    const path = request.url ?? '';
    const { range } = request.headers;
    const ifRange = request.headers['if-range'] as string | undefined;
    this.asked.push({ path, range, ifRange });
    const mischief = this.mischief.shift();
    const published = this.files.get(path);
    if (!published) return void reply.writeHead(404).end('no such file');
    if (typeof mischief === 'object' && 'status' in mischief)
      return void reply.writeHead(mischief.status, mischief.headers).end('trouble');
    if (typeof mischief === 'object' && 'redirect' in mischief)
      return void reply.writeHead(302, { ...mischief.headers, location: mischief.redirect }).end();

    const changed = typeof mischief === 'object' && 'changedTo' in mischief ? mischief : undefined;
    const etag = changed?.etag ?? published.etag;
    const body = changed?.changedTo ?? published.body;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const same = ifRange === undefined || ifRange === published.etag || ifRange === published.modified;
    const ranged = range !== undefined && mischief !== 'ignores ranges' && (same || changed !== undefined);
    if (ranged && from >= body.length)
      return void reply.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
    const part = ranged ? body.slice(from) : body;
    const validators = { ...(etag && { etag }), ...(published.modified && { 'last-modified': published.modified }) };
    const length = { 'content-length': String(part.length) };
    const span = ranged ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {};
    const head = (headers: Record<string, string>) =>
      reply.writeHead(ranged ? 206 : 200, { ...validators, ...span, ...headers });

    if (typeof mischief === 'object' && 'cutAfter' in mischief) {
      head(length);
      return this.#hangUp(reply, part.slice(0, mischief.cutAfter));
    }
    if (typeof mischief === 'object' && 'stallAfter' in mischief) {
      head(length).flushHeaders();
      this.#write(reply, part.slice(0, mischief.stallAfter), () => this.onStall());
      return;
    }
    if (typeof mischief === 'object' && 'claims' in mischief) {
      head({ 'content-length': String(mischief.claims) });
      return this.#hangUp(reply, part);
    }
    if (typeof mischief === 'object' && 'extra' in mischief) {
      head({ 'transfer-encoding': 'chunked' });
      return void reply.end(Buffer.concat([part, Buffer.alloc(mischief.extra, 7)]));
    }
    if (typeof mischief === 'object' && 'lacks' in mischief) {
      head({ 'transfer-encoding': 'chunked' });
      return void reply.end(part.slice(0, -mischief.lacks));
    }
    const flip = typeof mischief === 'object' && 'flips' in mischief ? mischief.flips : undefined;
    const bytes = Uint8Array.from(part);
    if (flip !== undefined && bytes.length > 0) bytes[flip % bytes.length]! ^= 0xff;
    head(length);
    if (this.slow) return void this.#trickle(reply, bytes, this.slow);
    this.#write(reply, bytes, () => reply.end());
  }

  #write(reply: ServerResponse, bytes: Uint8Array, then: () => void): void {
    this.sent += bytes.length;
    if (bytes.length === 0) then();
    else reply.write(bytes, () => then());
  }
  #hangUp(reply: ServerResponse, bytes: Uint8Array): void {
    reply.flushHeaders();
    this.#write(reply, bytes, () => reply.socket?.destroySoon());
  }
  async #trickle(reply: ServerResponse, bytes: Uint8Array, { bytes: step, every }: { bytes: number; every: number }) {
    for (let at = 0; at < bytes.length && !reply.destroyed; at += step) {
      await new Promise<void>((done) => this.#write(reply, bytes.slice(at, at + step), done));
      await new Promise((done) => setTimeout(done, every));
    }
    reply.end();
  }
}

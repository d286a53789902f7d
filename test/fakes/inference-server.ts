import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How an inference is answered. */
export type Manners =
  | { readonly json: unknown; readonly status?: number }
  /** `claims` bytes by the header, of which `body` comes; then it hangs up. */
  | { readonly body: Buffer; readonly claims?: number; readonly jsonLength?: number | string }
  | 'never answers'
  | 'hangs up';

/** A server of the inference protocol that knows one model, `twice`, and answers inferences as it is told to. */
export class MannerlessServer implements AsyncDisposable {
  manners: Manners = 'never answers';
  extensions: readonly string[] = ['binary_tensor_data'];
  datatype = 'FP32';
  /** The inferences that were asked for. */
  readonly asked: { readonly headers: IncomingMessage['headers']; readonly body: Buffer }[] = [];
  readonly #server = createServer((request, reply) => void this.#answer(request, reply));

  static async open(): Promise<MannerlessServer> {
    const made = new MannerlessServer();
    await new Promise<void>((done) => made.#server.listen(0, '127.0.0.1', done));
    return made;
  }
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #answer(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const body = Buffer.concat(parts);
    const json = (value: unknown, status = 200) =>
      reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.url === '/v2') return void json({ name: 'mannerless', version: '1', extensions: this.extensions });
    if (request.url === '/v2/models/twice') {
      const port = (name: string) => ({ name, datatype: this.datatype, shape: [-1, 2] });
      return void json({ name: 'twice', platform: 'x', inputs: [port('x')], outputs: [port('y')] });
    }
    if (request.url !== '/v2/models/twice/infer') return void json({ error: `no such place: ${request.url}` }, 404);
    this.asked.push({ headers: request.headers, body });
    const { manners } = this;
    if (manners === 'never answers') return;
    if (manners === 'hangs up') return void request.socket.destroy();
    if ('json' in manners) return void json(manners.json, manners.status);
    reply.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': manners.claims ?? manners.body.length,
      ...(manners.jsonLength !== undefined && { 'inference-header-content-length': manners.jsonLength }),
    });
    reply.write(manners.body, () => {
      if ((manners.claims ?? 0) > manners.body.length) request.socket.destroy();
      else reply.end();
    });
  }
}

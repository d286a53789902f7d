import { once } from 'node:events';
import { WebSocket } from '../../media/websocket.ts';
import type { ApiError, Event, Events, Method, Methods, Response } from '../../gateway/protocol.ts';
import { eventually } from './gateway.ts';

/** A page's end of the signalling socket. */
export class Page {
  readonly events: Event[] = [];
  readonly socket: WebSocket;
  /** Set once the socket is closed. */
  end: { readonly code: number; readonly reason: string } | undefined;
  readonly #answers = new Map<number, (response: Response) => void>();
  #id = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Event | Response;
      if ('event' in message) this.events.push(message);
      else this.#answers.get(message.id)?.(message);
    });
    socket.on('close', (code, reason) => (this.end = { code, reason: reason.toString() }));
    socket.on('error', () => {});
  }

  static async open({ url }: { readonly url: string }, session: string): Promise<Page> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/sessions/${session}/ws`);
    const page = new Page(socket);
    await once(socket, 'open');
    return page;
  }

  /** The whole answer, granted or refused. */
  send(method: string, data: unknown): Promise<Response> {
    const id = (this.#id += 1);
    const answer = new Promise<Response>((resolve) => this.#answers.set(id, resolve));
    this.socket.send(JSON.stringify({ id, method, data }));
    return answer;
  }
  /** What is granted; a refusal is an error. */
  async ask<M extends Method>(method: M, data: Methods[M]['in']): Promise<Methods[M]['out']> {
    const response = await this.send(method, data);
    if (!response.ok) throw new Error(`${method}: ${JSON.stringify(response.error)}`);
    return response.data;
  }
  async refusal(method: string, data: unknown): Promise<ApiError> {
    const response = await this.send(method, data);
    if (response.ok) throw new Error(`${method} was granted: ${JSON.stringify(response.data)}`);
    return response.error;
  }

  async event<E extends keyof Events>(name: E, when: (data: Events[E]) => boolean = () => true): Promise<Events[E]> {
    const found = await eventually(
      () => this.events.find((event) => event.event === name && when(event.data as Events[E])),
      `event ${name}; there were ${[...new Set(this.events.map(({ event }) => event))].join(', ')}`,
    );
    return found.data as Events[E];
  }
  closed(): Promise<{ readonly code: number; readonly reason: string }> {
    return eventually(() => this.end, 'the socket closes');
  }
  close(): void {
    this.socket.close();
  }
}

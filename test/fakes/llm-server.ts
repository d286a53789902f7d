import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';

/** Ways of a server, or of the model behind it, to be of no use. */
export const LLM_TROUBLES = [
  'hang',
  '429',
  '503',
  '401',
  '400',
  'cut',
  'garbage',
  'html',
  'wrong json',
  'no choices',
  'refusal',
  'refusal field',
  'empty',
  'lecture',
  'echo',
  'cut off',
] as const;
export type LlmTrouble = (typeof LLM_TROUBLES)[number];

/** A request as OpenAI's API has it, with nothing in it that the API does not have. */
const ChatRequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })).min(2),
  response_format: z.strictObject({ type: z.literal('json_object') }).optional(),
  temperature: z.number().min(0).max(2).optional(),
});
type ChatRequest = z.output<typeof ChatRequest>;
const Syllables = z.strictObject({ aim: z.int().min(1), most: z.int().optional() });
const Question = z.strictObject({
  before: z
    .array(z.strictObject({ speaker: z.string(), line: z.string(), translation: z.string().optional() }))
    .optional(),
  speaker: z.string(),
  line: z.string(),
  terms: z.record(z.string(), z.string()).optional(),
  syllables: Syllables.optional(),
});
export type Question = z.output<typeof Question>;
const Correction = z.strictObject({
  too_long: z.strictObject({ syllables: z.int() }).optional(),
  syllables: Syllables.optional(),
  missing_terms: z.record(z.string(), z.string()).optional(),
  line: z.string(),
});
export type Correction = z.output<typeof Correction>;

/** What one request asked for, as the server understood it. */
export interface AskedLlm {
  readonly question: Question;
  /** Of a second request for the same line. */
  readonly correction: Correction | undefined;
  readonly request: ChatRequest;
  readonly authorization: string | undefined;
}

/** Spanish words by how many syllables they have, counted by hand. */
const WORDS: readonly (readonly string[])[] = [
  ['sol', 'mar', 'pan', 'luz', 'flor', 'tren', 'paz'],
  ['casa', 'perro', 'lento', 'verde', 'gato', 'mesa', 'puerta', 'noche'],
  ['camino', 'ventana', 'zapato', 'montaña', 'palabra', 'mañana'],
  ['mariposa', 'elefante', 'primavera', 'maravilla', 'amarillo'],
];

/** A sentence of nearly `count` syllables that has `terms` in it. */
function spanish(count: number, terms: readonly string[], seed: number): string {
  const words = [...terms];
  // About as many as a term's vowels: a model does not count well, and terms are a guess to it, too.
  let left = count - terms.reduce((sum, term) => sum + (term.match(/[aeiouáéíóú]+/gi)?.length ?? 1), 0);
  for (let n = seed; left > 0; n += 1) {
    const size = Math.min(left, 1 + ((n * 7 + seed) % 4));
    const choice = WORDS[size - 1] ?? [];
    words.push(choice[(n * 5 + seed) % choice.length] ?? 'sol');
    left -= size;
  }
  return `${words.join(' ')}.`;
}

export interface LlmScript {
  /** What goes wrong with the nth request, from 0. */
  readonly trouble?: (nth: number, asked: AskedLlm) => LlmTrouble | undefined;
  /** Waited for before the nth request is answered. */
  readonly hold?: (nth: number) => Promise<void>;
  /** How many syllables the model says for an aim of so many. */
  readonly length?: (aim: number, nth: number, asked: AskedLlm) => number;
  /** Whether the model forgets its terms this time. */
  readonly forgets?: (nth: number, asked: AskedLlm) => boolean;
  /** How the model writes its line down; as JSON unless told. */
  readonly writes?: (line: string, nth: number) => string;
}

/**
 * A model that says up to three fifths too much where nobody complains, is now and then still too long when somebody
 * does, and forgets the terms of every fourth line.
 */
export const TALKATIVE: LlmScript = {
  length: (aim, nth, { correction }) => aim * (correction ? (nth % 13 === 0 ? 1.4 : 1) : 0.9 + ((nth * 37) % 70) / 100),
  forgets: (nth, { correction }) => correction === undefined && nth % 4 === 0,
};

export interface LlmServer {
  readonly baseUrl: string;
  readonly asked: readonly AskedLlm[];
  /** Most requests that were unanswered at one time. */
  readonly mostAtOnce: number;
}

/**
 * A server on loopback that behaves as a language model behind OpenAI's API does: it refuses requests the API does not
 * have, talks too much, shortens when it is told to, forgets terms, and goes wrong as the script says.
 */
export async function llmServer(script: LlmScript, scope: Scope): Promise<LlmServer> {
  const asked: AskedLlm[] = [];
  let open = 0;
  let mostAtOnce = 0;
  const server = createServer((request, response) => {
    open += 1;
    mostAtOnce = Math.max(mostAtOnce, open);
    response.on('close', () => (open -= 1));
    answer(request, response).catch((thrown: unknown) => {
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: String(thrown), type: 'invalid_request_error' } }));
    });
  });
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions') throw new Error(`no ${request.url} here`);
    const chat = ChatRequest.parse(JSON.parse(Buffer.concat(chunks).toString()));
    const said = chat.messages
      .filter(({ role }) => role === 'user')
      .map(({ content }) => JSON.parse(content) as unknown);
    const question = Question.parse(said[0]);
    const correction = said[1] === undefined ? undefined : Correction.parse(said[1]);
    const one: AskedLlm = { question, correction, request: chat, authorization: request.headers.authorization };
    const nth = asked.push(one) - 1;
    await script.hold?.(nth);

    const send = (content: string | null, more: object = {}, finish = 'stop') => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          id: `chatcmpl-${nth}`,
          object: 'chat.completion',
          model: chat.model,
          choices: [{ index: 0, message: { role: 'assistant', content, ...more }, finish_reason: finish }],
          usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
        }),
      );
    };
    const refuse = (status: number, message: string, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify({ error: { message, type: 'error' } }));
    };
    const terms = Object.values(correction?.missing_terms ?? question.terms ?? {});
    const aim = (correction ?? question).syllables?.aim ?? question.line.length / 3;
    const length = Math.max(1, Math.round(script.length?.(aim, nth, one) ?? aim));
    // The same line is always translated alike.
    const seed = [...question.line].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0);
    const line = spanish(length, script.forgets?.(nth, one) ? [] : terms, seed);
    const plain = JSON.stringify({ translation: line });

    switch (script.trouble?.(nth, one)) {
      case undefined:
        return send(script.writes?.(line, nth) ?? plain);
      case 'hang':
        return;
      case '429':
        return refuse(429, 'Rate limit reached');
      case '503':
        return refuse(503, 'The server is overloaded');
      case '401':
        return refuse(401, `Incorrect API key provided: ${request.headers.authorization}`);
      case '400':
        return refuse(400, `Cannot handle this: ${question.line}`);
      case 'cut':
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '4096' });
        response.write('{"choices":[{"mess', () => response.destroy());
        return;
      case 'garbage':
        response.writeHead(200, { 'content-type': 'application/json' });
        return void response.end(Buffer.from([0, 159, 146, 150, 255, 1, 2, 3]));
      case 'html':
        response.writeHead(200, { 'content-type': 'text/html' });
        return void response.end('<html>Bad gateway</html>');
      case 'wrong json':
        response.writeHead(200, { 'content-type': 'application/json' });
        return void response.end('{"choices":[{"message":{"content":7}}]}');
      case 'no choices':
        response.writeHead(200, { 'content-type': 'application/json' });
        return void response.end('{"choices":[]}');
      case 'refusal':
        return send("I'm sorry, but I can't help with that.");
      case 'refusal field':
        return send(null, { refusal: 'I will not translate this.' });
      case 'empty':
        return send('{"translation": ""}');
      case 'lecture':
        return send(`Esta frase merece una explicación. ${'La palabra tiene una larga historia. '.repeat(60)}`);
      case 'echo':
        return send(JSON.stringify({ translation: question.line }));
      case 'cut off':
        return send(plain.slice(0, -4), {}, 'length');
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    asked,
    get mostAtOnce() {
      return mostAtOnce;
    },
  };
}

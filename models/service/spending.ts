import { z } from 'zod';
import type { StageKind } from '../../pipeline/stage.ts';

/** What a service is used in. */
export interface Amounts {
  readonly requests: number;
  readonly characters: number;
  /** Of audio, sent or received. */
  readonly seconds: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
}

/** A setting that says what a service costs, so that what was spent can be told in money. */
export const price = z.strictObject({
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .default('USD')
    .describe('ISO 4217.'),
  request: z.number().min(0).default(0).describe('Of one request.'),
  millionCharacters: z.number().min(0).default(0).describe('Of a million characters of text.'),
  minute: z.number().min(0).default(0).describe('Of a minute of audio.'),
  millionTokensIn: z.number().min(0).default(0).describe('Of a million tokens sent.'),
  millionTokensOut: z.number().min(0).default(0).describe('Of a million tokens received.'),
});
export type Price = z.output<typeof price>;

/** What one engine has used in this process, all its stages together. */
export interface SpendingReport extends Amounts {
  readonly kind: StageKind;
  readonly engine: string;
  /** Requests made again after a failure; part of `requests`. */
  readonly retries: number;
  /** Requests that came to nothing. */
  readonly failures: number;
  /** Estimated from the prices in the settings; nothing where there are none. */
  readonly money: { readonly amount: number; readonly currency: string } | null;
}

type Sum = { -readonly [K in keyof Amounts]: number } & { retries: number; failures: number };

/** Adds up what an engine uses. */
export class Spending {
  readonly kind: StageKind;
  readonly engine: string;
  readonly #sum: Sum = { requests: 0, characters: 0, seconds: 0, tokensIn: 0, tokensOut: 0, retries: 0, failures: 0 };
  readonly #money = new Map<string, number>();

  constructor(kind: StageKind, engine: string) {
    this.kind = kind;
    this.engine = engine;
  }

  /** Adds what was used, at this price. */
  add(used: Partial<Amounts>, at?: Price): void {
    for (const unit of ['requests', 'characters', 'seconds', 'tokensIn', 'tokensOut'] as const) {
      this.#sum[unit] += used[unit] ?? 0;
    }
    if (!at) return;
    const cost =
      (used.requests ?? 0) * at.request +
      ((used.characters ?? 0) / 1e6) * at.millionCharacters +
      ((used.seconds ?? 0) / 60) * at.minute +
      ((used.tokensIn ?? 0) / 1e6) * at.millionTokensIn +
      ((used.tokensOut ?? 0) / 1e6) * at.millionTokensOut;
    this.#money.set(at.currency, (this.#money.get(at.currency) ?? 0) + cost);
  }
  retried(): void {
    this.#sum.retries += 1;
  }
  failed(): void {
    this.#sum.failures += 1;
  }

  report(): SpendingReport {
    // Two currencies for one engine in one process: told in the first, since they cannot be added.
    const [first] = this.#money;
    const { kind, engine } = this;
    return { kind, engine, ...this.#sum, money: first ? { currency: first[0], amount: first[1] } : null };
  }
}

const engines = new Map<string, Spending>();

/** The counter of an engine; there is one in each process. */
export function spendingOf(kind: StageKind, engine: string): Spending {
  const key = `${kind}:${engine}`;
  let spending = engines.get(key);
  if (!spending) engines.set(key, (spending = new Spending(kind, engine)));
  return spending;
}

/** What the engines of this process have used so far, those that spoke to a service. */
export const spendingReports = (): readonly SpendingReport[] => [...engines.values()].map((each) => each.report());

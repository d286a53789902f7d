import type { ApiError } from '../gateway/protocol.ts';

/** A refusal of the gateway, or of the network on the way there, in the one form pages show. */
export class Failure extends Error {
  readonly error: ApiError;

  constructor(error: ApiError, options?: ErrorOptions) {
    super(error.message, options);
    this.name = 'Failure';
    this.error = error;
  }
}

export const isApiError = (value: unknown): value is ApiError =>
  typeof value === 'object' &&
  value !== null &&
  'code' in value &&
  'message' in value &&
  typeof value.message === 'string';

/** Anything caught, as a refusal with a sentence for a person. */
export function failureOf(cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new Failure({ code: 'internal', message, field: null, fix: null }, { cause });
}

/** "What is wrong. What to do about it." */
export function sentences({ error }: Failure): string {
  return error.fix ? `${error.message.replace(/[.\s]*$/, '.')} ${error.fix}` : error.message;
}

/**
 * Why a model did not come or did not stay.
 *
 * `checksum` and `length`: what arrived is not the file. `room`: the disk. `network`: tried several times, may be tried
 * again. `refused`: the server said no. `absent`: it is not in the directory or mirror given. `denied`: this machine
 * does not let us read or write. `unknown`: there is no such model.
 */
export type StoreTrouble = 'checksum' | 'length' | 'room' | 'network' | 'refused' | 'absent' | 'denied' | 'unknown';

/** A sentence for whoever typed `livedub models`, and one that says what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly trouble: StoreTrouble;
  readonly fix: string;

  constructor(trouble: StoreTrouble, message: string, fix: string, options?: { cause?: unknown }) {
    super(message, options);
    this.trouble = trouble;
    this.fix = fix;
  }
}

/** The code of an error of Node's, such as `ENOENT`. */
export const codeOf = (thrown: unknown): string | undefined =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;

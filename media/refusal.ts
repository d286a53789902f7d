/**
 * Something from outside that we do not take, said so that its sender can mend it: what is wrong with which field, and
 * what to do instead.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: 'not_found' | 'unsupported' | 'invalid';
  readonly field: string;
  readonly fix: string;

  constructor(
    refusal: { code: Refusal['code']; field: string; message: string; fix: string },
    options?: { cause?: unknown },
  ) {
    super(refusal.message, options);
    this.code = refusal.code;
    this.field = refusal.field;
    this.fix = refusal.fix;
  }
}

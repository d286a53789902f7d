import type { z } from 'zod';
import { RENAMED } from './config.ts';
import type { ApiError } from './protocol.ts';

/** HTTP status of every code an {@link ApiError} may have. */
export const STATUS = {
  bad_json: 400,
  invalid: 400,
  unauthorized: 401,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unsupported: 422,
  limit: 429,
  internal: 500,
  unavailable: 503,
} as const;
export type Code = keyof typeof STATUS;

/** A request that is not granted, with what the caller needs to put it right. The same over HTTP and over the socket. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly error: ApiError;

  constructor(error: ApiError, options?: { cause?: unknown }) {
    super(error.message, options);
    this.error = error;
  }

  get status(): number {
    return STATUS[this.error.code as Code] ?? 422;
  }
}

export const refuse = (
  code: Code,
  message: string,
  field: string | null = null,
  fix: string | null = null,
  cause?: unknown,
) => new Refusal({ code, message, field, fix }, { cause });

type Issue = z.core.$ZodIssue;

/** What a schema found wrong, as one refusal about the first field. `within` goes before the field's name. */
export function invalid(issues: readonly Issue[], within = ''): Refusal {
  const [issue] = issues;
  const path = [...(within ? [within] : []), ...(issue?.path ?? []).map(String)];
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys.find((each) => RENAMED[each]) ?? issue.keys[0] ?? '';
    const field = [...path, key].join('.');
    const fix = RENAMED[key] ?? 'Leave it out, or check its spelling.';
    return refuse('invalid', `'${field}' is not known here.`, field, fix);
  }
  const field = path.join('.') || null;
  const what = issue?.message ?? 'not accepted';
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  return refuse(
    'invalid',
    `${field ? `'${field}' is wrong` : 'The request is wrong'}: ${what}${more}.`,
    field,
    fixOf(issue),
  );
}

/** What the kinds of a union are, in words: `"auto"`, `a number`. */
const kindsOf = (issues: readonly (readonly Issue[])[]) =>
  issues.flatMap(([issue]) => {
    if (issue?.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value));
    return issue?.code === 'invalid_type' ? [article(issue.expected)] : [];
  });
const article = (noun: string) => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;

function fixOf(issue: Issue | undefined): string {
  if (issue?.code === 'invalid_value')
    return `Use one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}.`;
  if (issue?.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)) {
    return `Use one of ${issue.options.map((value) => JSON.stringify(value)).join(', ')}.`;
  }
  if (issue?.code === 'too_small') return `Give ${issue.minimum} or more.`;
  if (issue?.code === 'too_big') return `Give ${issue.maximum} or less.`;
  if (issue?.code === 'invalid_union' && kindsOf(issue.errors).length > 0)
    return `Give ${kindsOf(issue.errors).join(' or ')}.`;
  if (issue?.code === 'invalid_type') return `Give ${article(issue.expected)}.`;
  if (issue?.code === 'custom' && typeof issue.params?.['fix'] === 'string') return issue.params['fix'];
  return 'See /openapi.json for what is expected.';
}

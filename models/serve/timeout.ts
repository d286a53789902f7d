import { type ClockTime, type Span, later } from '../../media/time.ts';
import { Malformed } from './datatypes.ts';
import type { Parameters } from './http-inference.ts';

/**
 * Until when an answer is of use: `timeout` microseconds after the request came. 0 is none.
 *
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_schedule_policy.md
 */
export function deadlineOf({ timeout }: Parameters, came: ClockTime): ClockTime | undefined {
  if (timeout === undefined || timeout === 0) return undefined;
  if (typeof timeout !== 'number' || !Number.isSafeInteger(timeout) || timeout < 0) {
    throw new Malformed('The parameter timeout must be a whole number of microseconds');
  }
  return later(came, timeout as Span);
}

import { createHash, timingSafeEqual } from 'node:crypto';

/** The token in an `Authorization` header (RFC 6750 §2.1), if it has one. */
export const bearerOf = (authorization: string | undefined): string | undefined =>
  /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];

/** Whether a bearer token is the configured one. Takes as long for a wrong one as for the right one. */
export function tokenCheck(token: string | undefined): (given: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const right = digest(token);
  return (given) => given !== undefined && timingSafeEqual(digest(given), right);
}

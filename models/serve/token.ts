import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether an `Authorization` header carries the token; always, where there is none to carry. */
export function bearerCheck(token: string | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const right = digest(token);
  return (authorization) => {
    const [, bearer] = /^Bearer (\S+)$/i.exec(authorization ?? '') ?? [];
    return bearer !== undefined && timingSafeEqual(digest(bearer), right);
  };
}

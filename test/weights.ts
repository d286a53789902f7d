import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where real weights lie: `LIVEDUB_MODELS`, else beside the repository. They are never committed. */
const MODELS = process.env['LIVEDUB_MODELS'] ?? fileURLToPath(new URL('../../shared/models', import.meta.url));

/** The path of a file or directory of real weights. */
export const weights = (name: string) => join(MODELS, name);
/** Why a test with these weights cannot run here, or nothing. */
export function lacking(...names: string[]): string | undefined {
  const absent = names.filter((name) => !existsSync(weights(name)));
  return absent.length > 0 ? `${absent.join(', ')} not in ${MODELS}` : undefined;
}

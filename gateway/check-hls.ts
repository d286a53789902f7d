import type { CheckHlsOptions } from './commands.ts';
import { NothingThere, checkHls as check } from './hls-check/check.ts';
import { checkText } from './hls-check/report.ts';
import { UsageError } from './commands.ts';
import type { Scope } from '../media/scope.ts';

const BAR = 24;

/** `livedub check hls`: what was found, and whether any of it counts. */
export async function checkHls(options: CheckHlsOptions, scope: Scope): Promise<{ text: string; passed: boolean }> {
  const { url, seconds, json, strict } = options;
  const tty = process.stderr.isTTY;
  const onProgress = (fraction: number, said: string): void => {
    if (!tty) return;
    const done = Math.round(BAR * fraction);
    const line = `[${'#'.repeat(done)}${'-'.repeat(BAR - done)}] ${Math.floor(100 * fraction)} %  ${said}`;
    process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  };
  try {
    const result = await check(url, { seconds, signal: scope.signal, onProgress });
    const counts = strict ? ['error', 'warning'] : ['error'];
    return {
      text: json ? JSON.stringify(result, null, 2) : checkText(result),
      passed: !result.findings.some(({ severity }) => counts.includes(severity)),
    };
  } catch (failure) {
    if (failure instanceof NothingThere) throw new UsageError(failure.message);
    throw failure;
  } finally {
    if (tty) process.stderr.write('\r\x1b[2K');
  }
}

import { type DestinationStream, type Logger, pino } from 'pino';

/** Structured log: one JSON object a line. What people say never goes in, except under `pii`, which is cut out here. */
export type Log = Logger;

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Where lines go; standard error by default, so that a command's own output stays clean. */
  readonly to?: DestinationStream;
}

export const openLog = ({ level, to = pino.destination(2) }: LogOptions): Log =>
  pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['pii', '*.pii', 'authorization', '*.authorization'], censor: '[cut]' },
    },
    to,
  );

/** For code that is asked to be quiet. */
export const silent: Log = pino({ level: 'silent' });

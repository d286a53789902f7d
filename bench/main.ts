import { parseArgs } from 'node:util';
import { Scope } from '../media/scope.ts';
import { LATENCY_DEFAULTS, latency, latencyText } from './latency.ts';
import { sessions } from './sessions.ts';

const HELP = `npm run bench -- latency [options]     from mouth to ear, through real browsers and the real SFU
npm run bench -- sessions [options]    how many dubbed audio programmes this machine carries at once

latency:
  --file FILE      programme to publish (default: the demo's sample)
  --to TAG         language to dub into (default: es)
  --seconds N      how long to measure (default: 60)
  --delay N        seconds the programme is shown late (default: 5)
  --plain          no browsers: the session plays the file, and the SFU's output is measured
sessions:
  --counts LIST    sessions at once, comma-separated (default: 1,2,3,4,5,6)
  --seconds N      how long to measure each (default: 45)
both:
  --out DIR        where results go as JSON and as a page with plots (default: out/bench)

Examples:
  npm run bench -- latency --seconds 120
  npm run bench -- latency --file talk.mp4 --plain
  npm run bench -- sessions --counts 2,4,6,8`;

/** Asked for in a way that cannot be done. */
class UsageError extends Error {}

function asked() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        file: { type: 'string' },
        to: { type: 'string', default: LATENCY_DEFAULTS.to },
        seconds: { type: 'string' },
        delay: { type: 'string', default: String(LATENCY_DEFAULTS.delay) },
        counts: { type: 'string', default: '1,2,3,4,5,6' },
        out: { type: 'string', default: LATENCY_DEFAULTS.out },
        plain: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (failure) {
    throw new UsageError(failure instanceof Error ? failure.message : String(failure));
  }
}

function seconds(option: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`--${option} must be a number of seconds above 0, received ${text}`);
}

async function run(scope: Scope): Promise<number> {
  const { values, positionals } = asked();
  const { file, to, out } = values;
  const [what] = positionals;
  if (values.help || what === undefined) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  switch (what) {
    case 'latency': {
      const result = await latency(
        {
          file,
          to,
          seconds: seconds('seconds', values.seconds, LATENCY_DEFAULTS.seconds),
          delay: seconds('delay', values.delay, LATENCY_DEFAULTS.delay),
          out,
          browser: !values.plain,
        },
        scope,
      );
      console.log(
        `${latencyText(result, process.stdout.columns)}\n\nresults                    ${out}/latency.json, ${out}/latency.html`,
      );
      return 0;
    }
    case 'sessions': {
      const counts = values.counts.split(',').map(Number);
      if (counts.some((count) => !Number.isInteger(count) || count < 1))
        throw new UsageError(`--counts must be whole numbers, received ${values.counts}`);
      await sessions({ file, to, counts, seconds: seconds('seconds', values.seconds, 45), out }, scope);
      console.log(`\nresults  ${out}/sessions.json, ${out}/sessions.html`);
      return 0;
    }
    default:
      throw new UsageError(`There is no bench called '${what}'; there is latency, and there is sessions`);
  }
}

const scope = new Scope('bench');
process.once('SIGINT', () => void scope.close());
try {
  process.exitCode = await run(scope);
} catch (failure) {
  process.exitCode = failure instanceof UsageError ? 2 : 1;
  console.error(failure instanceof UsageError ? failure.message : failure);
} finally {
  await scope.close().catch(() => {});
}
process.exit();

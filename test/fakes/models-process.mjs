// `livedub models …` as a process of its own, with models of a test in place of those of the engines.
import { main } from '../../dist/gateway/cli.js';
import { models } from '../../dist/gateway/models-command.js';

const entries = JSON.parse(process.env.TEST_MODELS ?? '[]');
process.exitCode = await main(process.argv.slice(2), {
  models: (request, scope) => models(request, scope, { entries }),
});

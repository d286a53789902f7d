/** Measures nothing: each name is a way in which a measurement can go. Speaks as `bench/quality/child.ts` does. */
const { name, models, media } = JSON.parse(process.argv[2]);
const tell = (told) => new Promise((sent) => process.send(told, sent));
const figure = (engine, value, more = {}) => ({
  stage: name,
  engine,
  clip: `${models} ${media}`,
  metric: 'WER',
  unit: '%',
  value,
  better: 'lower',
  ...more,
});

switch (name) {
  case 'vad':
    await tell({ type: 'progress', done: 0, total: 2, what: 'silero: recording 1 of 2' });
    await tell({ type: 'progress', done: 1, total: 2, what: 'ten-vad left out: there is no such file' });
    await tell({
      type: 'figures',
      figures: [figure('silero v6', 5, { reference: { name: 'theirs', value: 4 } }), figure('ten-vad', 7)],
      cpu: 1.5,
      rssMiB: 4_000,
    });
    break;
  case 'recognizer':
    process.stderr.write('the library says why\n');
    process.abort();
    break;
  case 'enhancer':
    await tell({ type: 'failed', message: 'out of luck' });
    break;
  default: {
    // Holds a hundred megabytes for a moment, and says that it is less.
    const held = Buffer.alloc(100 * 2 ** 20, 1);
    await new Promise((wake) => setTimeout(wake, 800));
    await tell({ type: 'figures', figures: [], cpu: held[0], rssMiB: 1 });
  }
}
process.exit();

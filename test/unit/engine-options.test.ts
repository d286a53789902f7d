import { expect, test } from 'vitest';
import { SessionSpec } from '../../gateway/config.ts';
import { enginesOf } from '../../gateway/engine-options.ts';

test('engines are named as a session names them, with their settings', () => {
  const asked = enginesOf({ profile: 'cpu', engine: ['enhancer=gtcrn', 'diarizer=pyannote {"hop":0.5}'] });
  expect(SessionSpec.parse(asked)).toMatchObject({
    profile: 'cpu',
    engines: { enhancer: { engine: 'gtcrn' }, diarizer: { engine: 'pyannote', hop: 0.5 } },
  });
  expect(SessionSpec.parse(enginesOf({}))).toMatchObject({ profile: 'embedded', engines: {} });
});

test.for<[string, string]>([
  ['gtcrn', "--engine must be STAGE=ENGINE, as in enhancer=gtcrn, received 'gtcrn'"],
  ['ears=gtcrn', "there is no stage called 'ears'; there is separator, enhancer, vad"],
  ['vad=silero{version:5}', '--engine vad: its settings must be JSON, received {version:5}'],
])('--engine %s is refused: %s', ([text, message]) => {
  expect(() => enginesOf({ engine: [text] })).toThrow(message);
});

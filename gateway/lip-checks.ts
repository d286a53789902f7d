import type { EngineRegistry } from '../models/engine.ts';
import { registry } from '../models/index.ts';
import type { Check } from './doctor.ts';
import { lipsLack } from './lip-engines.ts';
import { fixOf } from './profile-checks.ts';

const PULL = 'livedub models pull --lips';

/**
 * Whether mouths can be driven, and how well it is told whose: where LR-ASD's network is not there, mouth-motion judges
 * in its place.
 */
export function checkLips(engines: EngineRegistry = registry()): Check[] {
  const lacks = lipsLack({ lips: 'auto', engines: {}, profile: 'embedded' }, engines);
  const fixes = new Set(lacks.map((install) => (install.startsWith('model ') ? PULL : fixOf(install))));
  const without = engines.lacks('activeSpeaker', 'lr-asd');
  return [
    {
      name: 'Lips',
      needed: 'for mouths that move with the dub',
      state: lacks.length === 0 ? 'ok' : 'absent',
      found: lacks.length === 0 ? 'ready' : `no ${lacks.join(', no ').replaceAll(/ \(livedub [^)]*\)/g, '')}`,
      fix: [...fixes].join('; '),
    },
    {
      name: 'Who speaks',
      needed: 'lr-asd, else told by mouth-motion',
      state: without.length === 0 ? 'ok' : 'absent',
      found: without.length === 0 ? 'lr-asd' : 'mouth-motion',
      fix: without.map(fixOf).join('; '),
    },
  ];
}

import { ms } from '../../media/time.ts';
import type { Driven, Seen, Shot, Speaking } from '../../pipeline/face.ts';
import type { LipStages } from '../../pipeline/lip-path.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { seenAt } from './seen-faces.ts';

/** A tracker that sees what the script says for the nth picture, 25 a second. */
export const scriptedTracker = (script: (n: number) => readonly string[]): Stage<'faceTracker'> => ({
  kind: 'faceTracker',
  engine: 'scripted',
  caps: { lookahead: ms(0), mostFaces: 4, embeddings: false },
  async *run(input) {
    for await (const frame of input) {
      const n = Math.round(frame.start / ms(40));
      yield { ...seenAt(n, script(n)), start: frame.start } satisfies Seen;
    }
  },
});

/** Says that the faces called by `script` speak. */
export const scriptedSpeaker = (script: (start: number) => readonly string[]): Stage<'activeSpeaker'> => ({
  kind: 'activeSpeaker',
  engine: 'scripted',
  caps: { lookahead: ms(0) },
  async *run(input) {
    for await (const { start, end, faces } of input) {
      const speaks = script(start);
      const scores = (id: string) => new Float32Array(10).fill(speaks.includes(id) ? 3 : -3);
      yield { start, end, faces: faces.map(({ id }) => ({ id, scores: scores(id) })) } satisfies Speaking;
    }
  },
});

/** Paints a square of the take's colour where the face is, and keeps what it was given. */
export function paintingDriver(
  shots: Shot[],
  before: (shot: Shot) => Promise<void> | void = () => {},
  caps: Partial<Stage<'lipDriver'>['caps']> = {},
): Stage<'lipDriver'> {
  return {
    kind: 'lipDriver',
    engine: 'painting',
    caps: { lookahead: ms(0), watches: false, phonemes: false, ...caps },
    async *run(input) {
      for await (const shot of input) {
        await before(shot);
        shots.push(shot);
        const { start, face, take, frame } = shot;
        const patch = {
          left: 4,
          top: 4,
          width: 8,
          height: 8,
          y: new Uint8Array(64).fill(200),
          u: new Uint8Array(16).fill(frame.u[0] ?? 0),
          v: new Uint8Array(16).fill(frame.v[0] ?? 0),
        };
        yield { start, face: face.id, patches: take ? [patch] : [] } satisfies Driven;
      }
    },
  };
}

export const lipStagesOf = (stages: Partial<LipStages> & Pick<LipStages, 'lipDriver'>): LipStages => ({
  faceTracker: scriptedTracker(() => ['a']),
  ...stages,
});

import { z } from 'zod';
import { seconds } from '../../media/time.ts';
import { defineEngine } from '../engine.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { needsVariable } from '../service/keys.ts';
import { drive } from './remote-driving.ts';

interface Project {
  readonly id: string;
  readonly variable: string;
  readonly url: string;
  readonly summary: string;
  readonly licence: string;
  readonly margin: number;
  readonly lookahead: number;
  readonly patience: number;
}

const driver = ({ id, variable, url, summary, licence, margin, lookahead, patience }: Project) =>
  defineEngine({
    kind: 'lipDriver',
    id,
    host: 'inline',
    summary,
    licence,
    byName: true,
    needs: [needsVariable(variable)],
    config: z.strictObject({
      ...serverSettings(url, variable),
      lookahead: z
        .number()
        .min(0)
        .max(120)
        .default(lookahead)
        .describe(
          'Seconds of programme that may be at the server: as long as the longest take for one that wants it whole.',
        ),
      patience: z
        .number()
        .min(0.05)
        .max(600)
        .default(patience)
        .describe('Seconds an answer is waited for; after that the picture stays as it was.'),
      margin: z
        .number()
        .min(0)
        .max(2)
        .default(margin)
        .describe('How much around a face is sent, on each side, in parts of the face.'),
    }),
    async load(config) {
      const client = new HttpClient({ stage: 'lipDriver', engine: id, settings: config });
      const lookahead = seconds(config.lookahead);
      const remote = { engine: id, client, lookahead, patience: seconds(config.patience), margin: config.margin };
      const counts = { late: 0, undriven: 0 };
      return {
        kind: 'lipDriver',
        engine: id,
        caps: { lookahead, watches: false, phonemes: true },
        run: (input, scope) => drive(remote, counts, input, scope),
      };
    },
  });

/**
 * Lips driven by a server beside a project's own code: `docs/driver-protocol.md`, `models/export/servers/`. Crops of faces
 * leave this machine, so none of them is used unless it is named.
 */
export const latentsync = driver({
  id: 'latentsync',
  variable: 'LIVEDUB_LATENTSYNC_URL',
  url: 'http://127.0.0.1:8651',
  summary: 'LatentSync on a server of yours: latent diffusion of the mouth, 16 pictures at a time.',
  licence: 'Apache-2.0 AND LicenseRef-LatentSync-weights',
  margin: 0.6,
  lookahead: 2,
  patience: 30,
});
export const videoRetalking = driver({
  id: 'video-retalking',
  variable: 'LIVEDUB_VIDEO_RETALKING_URL',
  url: 'http://127.0.0.1:8652',
  summary: 'VideoReTalking on a server of yours: a take at a time, for recordings.',
  licence: 'Apache-2.0 AND LicenseRef-VideoReTalking-weights',
  margin: 0.8,
  lookahead: 20,
  patience: 600,
});
export const sadtalker = driver({
  id: 'sadtalker',
  variable: 'LIVEDUB_SADTALKER_URL',
  url: 'http://127.0.0.1:8653',
  summary: 'SadTalker on a server of yours: a still face made to speak, a take at a time, for recordings.',
  licence: 'Apache-2.0 AND LicenseRef-SadTalker-weights',
  margin: 0.8,
  lookahead: 20,
  patience: 600,
});

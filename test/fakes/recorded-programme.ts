import { execFileSync } from 'node:child_process';
import { annexB, avcConfiguration } from '../../media/avc.ts';
import { MatroskaReader } from '../../media/matroska.ts';
import { at, later, seconds } from '../../media/time.ts';
import type { OutPicture, OutSound, OutTrack } from '../../gateway/outlet/outlet.ts';
import { recording } from './recordings.ts';

export const CLIP = 'talking/open-dubbing/englishvideo.mp4';
/** Where the programme is when it is first recorded. */
export const ORIGIN = at(7_000_000);
export const SIZE = { width: 540, height: 360 } as const;

export type Given = { readonly picture: OutPicture } | { readonly sound: OutSound };
export const track = (id: OutTrack['id'], language: string | null, title: string): OutTrack =>
  id.startsWith('video')
    ? { id, kind: 'video', language, title, codec: 'H264' }
    : { id, kind: 'audio', language, title, codec: 'Opus' };
export const TRACKS: readonly OutTrack[] = [
  track('original', null, 'Original'),
  track('dub:es', 'es', 'español'),
  track('video', null, 'Original'),
];

/**
 * A face that talks, as a session sends it: H.264 or VP8 with a key frame every 4 s, the original, and as the Spanish dub the same
 * three notes higher.
 */
export function programme(length: number, codec: 'H264' | 'VP8' = 'H264'): Given[] {
  const picture =
    codec === 'H264'
      ? ['-c:v', 'libx264', '-preset', 'ultrafast', '-profile:v', 'baseline']
      : ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '500k', '-auto-alt-ref', '0'];
  const bytes = execFileSync(
    'ffmpeg',
    [
      ...['-v', 'error', '-stream_loop', '-1', '-i', recording(CLIP), '-t', String(length)],
      ...['-filter_complex', '[0:a]aresample=48000,asplit[a][b];[b]asetrate=57000,aresample=48000[c]'],
      ...['-map', '0:v', '-map', '[a]', '-map', '[c]'],
      ...['-vf', `scale=${SIZE.width}:${SIZE.height},fps=30`, ...picture, '-g', '120', '-keyint_min', '120'],
      ...['-c:a', 'libopus', '-ac', '1', '-b:a', '32k', '-f', 'matroska', '-'],
    ],
    { maxBuffer: 1 << 28 },
  );
  const given = new MatroskaReader().push(bytes).map(({ track: { number, header }, start, keyFrame, data }): Given => {
    const place = later(ORIGIN, seconds(start / 1e6));
    if (number !== 1) return { sound: { track: number === 2 ? 'original' : 'dub:es', start: place, data } };
    const whole = codec === 'H264' ? annexB(data, keyFrame, avcConfiguration(header)) : data;
    return { picture: { track: 'video', start: place, keyFrame, codec, data: whole, ...SIZE } };
  });
  return given.sort((a, b) => startOf(a) - startOf(b));
}
export const startOf = (given: Given) => ('picture' in given ? given.picture.start : given.sound.start);

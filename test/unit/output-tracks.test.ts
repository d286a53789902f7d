import { describe, expect, test } from 'vitest';
import { audioTrack, languageTracks, sameCodec, videoTrack } from '../../gateway/output-tracks.ts';

describe('the tracks of a programme', () => {
  test('a language is heard as its dub and as its voices', () => {
    const tracks = languageTracks('es', { overlap: 'both' });
    expect(tracks.map(({ id, kind, language }) => [id, kind, language])).toEqual([
      ['dub:es', 'audio', 'es'],
      ['voice:es', 'audio', 'es'],
    ]);
    expect(tracks[0]!.parameters).not.toHaveProperty('sprop-stereo');
  });
  test('a dub whose speakers have their places is stereo, and its voices are not', () => {
    const [dub, voices] = languageTracks('es', { overlap: 'pan' });
    expect(dub!.parameters).toMatchObject({ 'sprop-stereo': 1 });
    expect(voices!.parameters).not.toHaveProperty('sprop-stereo');
  });
  test('there is the picture as it is, and one for each language whose mouths move', () => {
    expect(videoTrack()).toMatchObject({ id: 'video', kind: 'video', language: null, clockRate: 90_000 });
    expect(videoTrack('pt-BR')).toMatchObject({ id: 'video:pt-BR', kind: 'video', language: 'pt-BR', channels: 1 });
  });
  test('no two tracks share a number, and no SSRC is 0', () => {
    const dubs = languageTracks('es', { overlap: 'both' });
    const tracks = [audioTrack('original', 'en'), videoTrack(), videoTrack('es'), ...dubs];
    expect(new Set(tracks.map(({ ssrc }) => ssrc)).size).toBe(tracks.length);
    expect(new Set(tracks.map(({ rtpBase }) => rtpBase)).size).toBe(tracks.length);
    for (const { ssrc } of tracks) expect(ssrc).toBeGreaterThan(0);
  });
  test('viewers can go on with another track of the same codec, not with one of another', () => {
    expect(sameCodec(videoTrack(), videoTrack('es'))).toBe(true);
    expect(sameCodec(videoTrack(), { ...videoTrack('es'), mimeType: 'video/H264' })).toBe(false);
    expect(sameCodec(videoTrack(), { ...videoTrack(), parameters: { 'packetization-mode': 1 } })).toBe(false);
  });
});

/**
 * Marks in a programme that show where picture and sound are: white pictures, and with the first of them a rising tone.
 * The tone lies under speech and under a dub, and is found there by its shape.
 */
export const MARK_EVERY = 5;
/** Pictures a second of the programme: a mark begins with a picture exactly. */
export const MARK_RATE = 25;
const LENGTH = 0.05;
const [FROM, RISE] = [2_000, 30_000];
const LOUD = 0.4;

/** Filters of FFmpeg that make the marks: video `0:v` → `[v]`, sound `0:a` → `[a]`. */
export function markFilter(width: number, height: number): string {
  const t = `mod(t\\,${MARK_EVERY})`;
  const shape = `${LOUD}*sin(2*PI*(${FROM}*${t}+${RISE}*${t}*${t}))`;
  return [
    `[0:v]setpts=PTS-STARTPTS,fps=${MARK_RATE},scale=${width}:${height},format=yuv420p,` +
      `drawbox=color=white:t=fill:enable='lt(mod(t+0.001\\,${MARK_EVERY})\\,0.079)'[v]`,
    `[0:a]aresample=48000:async=1:first_pts=0,aformat=channel_layouts=mono,asetpts=N/SR/TB,volume=0.6[programme]`,
    `aevalsrc=exprs='if(lt(${t}\\,${LENGTH})\\,${shape}\\,0)':s=48000[tone]`,
    `[programme][tone]amix=inputs=2:duration=first:normalize=0[a]`,
  ].join(';');
}

/** A picture's mean brightness, 0…255, and its time in seconds. */
export interface Bright {
  readonly at: number;
  readonly luma: number;
}
const WHITE = 200;
/** When white pictures begin. */
export function flashes(pictures: readonly Bright[]): number[] {
  return pictures.flatMap(({ at, luma }, n) => {
    const before = pictures[n - 1];
    return luma >= WHITE && before !== undefined && before.luma < WHITE ? [at] : [];
  });
}

/** A sound that stands out so many times from what else is like the tone, is the tone. */
const STANDS_OUT = 5;

function toneAt(rate: number): Float32Array {
  return Float32Array.from({ length: Math.round(LENGTH * rate) }, (_, n) => {
    const t = n / rate;
    return Math.sin(2 * Math.PI * (FROM * t + RISE * t * t));
  });
}

/**
 * Where in `pcm` the tone begins, in seconds, nearest to what is looked for; `undefined` where nothing stands out.
 *
 * @param from the first sample that is looked at
 * @param count so many are
 */
export function toneIn(pcm: Float32Array, rate: number, from: number, count: number): number | undefined {
  const tone = toneAt(rate);
  const first = Math.max(0, from);
  const last = Math.min(pcm.length - tone.length, from + count);
  let [best, where, sum, seen] = [0, -1, 0, 0];
  for (let at = first; at < last; at += 1) {
    let value = 0;
    for (let n = 0; n < tone.length; n += 1) value += (tone[n] ?? 0) * (pcm[at + n] ?? 0);
    sum += value * value;
    seen += 1;
    if (Math.abs(value) > best) [best, where] = [Math.abs(value), at];
  }
  if (where < 0 || best < STANDS_OUT * Math.sqrt(sum / seen)) return undefined;
  return where / rate;
}

/** Sounds in which nobody speaks, 16 kHz, the same every time. */

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** An open line: digital silence with a little hiss, −80 dBFS. */
export function silence(seconds: number): Float32Array {
  const hiss = random(1);
  return Float32Array.from({ length: seconds * 16_000 }, () => 1.7e-4 * hiss());
}

/** Wind and traffic: pink noise that swells and fades, −26 dBFS where it is loudest. */
export function noise(seconds: number): Float32Array {
  const white = random(2);
  const [a, b, c] = [new Float64Array(1), new Float64Array(1), new Float64Array(1)];
  return Float32Array.from({ length: seconds * 16_000 }, (_, n) => {
    const x = white();
    // Paul Kellet's filter, economy version (musicdsp.org, "Pink noise filter").
    a[0] = 0.99765 * a[0]! + x * 0.099046;
    b[0] = 0.963 * b[0]! + x * 0.2965164;
    c[0] = 0.57 * c[0]! + x * 1.0526913;
    const swell = 0.6 + 0.4 * Math.sin((2 * Math.PI * n) / 16_000 / 7.3);
    return 0.03 * swell * (a[0] + b[0] + c[0] + x * 0.1848);
  });
}

/**
 * A small band: chords on an organ, a melody above them with vibrato, a bass, a snare on every other beat.
 *
 * Synthetic, since there is no recording of music to test with: it has pitch, harmonics and a rhythm like speech, but
 * no voice.
 */
export function music(seconds: number): Float32Array {
  const [beat, hit] = [0.5, random(3)];
  const chords = [
    [261.6, 329.6, 392],
    [220, 261.6, 329.6],
    [174.6, 220, 261.6],
    [196, 246.9, 293.7],
  ];
  const scale = [523.3, 587.3, 659.3, 784, 880, 784, 659.3, 587.3];
  const tone = (hertz: number, t: number, parts: number) => {
    let sum = 0;
    for (let k = 1; k <= parts; k += 1) sum += Math.sin(2 * Math.PI * hertz * k * t) / k;
    return sum;
  };
  return Float32Array.from({ length: seconds * 16_000 }, (_, n) => {
    const t = n / 16_000;
    const count = Math.floor(t / beat);
    const into = t - count * beat;
    const chord = chords[Math.floor(count / 4) % chords.length]!;
    const note =
      scale[(count * 5 + Math.floor(count / 3)) % scale.length]! * (1 + 0.004 * Math.sin(2 * Math.PI * 5.5 * t));
    const organ = chord.reduce((sum, hertz) => sum + tone(hertz, t, 2), 0);
    const snare = count % 2 === 1 ? hit() * Math.exp(-into * 25) : 0;
    const bass = tone(chord[0]! / 2, t, 2) * Math.exp(-into * 3);
    return 0.025 * organ + 0.07 * tone(note, t, 4) * Math.exp(-into * 4) + 0.1 * bass + 0.15 * snare;
  });
}

/** The frames of an ADTS stream without their headers. */
export function adtsFrames(stream: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let n = 0; n + 7 <= stream.length;) {
    const length = ((stream[n + 3]! & 3) << 11) | (stream[n + 4]! << 3) | (stream[n + 5]! >> 5);
    frames.push(stream.subarray(n + 7, n + length));
    n += length;
  }
  return frames;
}

/** A peer that does not speak RTMP as we can follow it. Its connection ends; the message holds nothing that it sent. */
export class RtmpError extends Error {
  override readonly name = 'RtmpError';
}

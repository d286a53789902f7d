/** What became of an SRT connection, for its owner, who may try again. Holds no passphrase and no stream id. */
export class SrtError extends Error {
  override readonly name = 'SrtError';
  /**
   * - `timeout`: nobody answered
   * - `refused`: somebody answered and does not want us, because of the stream id for instance
   * - `passphrase`: another passphrase, or only one end has any
   * - `unreachable`: the name has no address, or there is no way there
   * - `taken`: the port to listen at is somebody else's, or the address is not this machine's
   * - `lost`: the other end of a connection fell silent
   */
  readonly kind: 'timeout' | 'refused' | 'passphrase' | 'unreachable' | 'taken' | 'lost';

  constructor(kind: SrtError['kind'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

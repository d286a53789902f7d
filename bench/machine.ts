import { arch, cpus, release } from 'node:os';

/** What a result was measured on. */
export const machine = (): string =>
  `${cpus()[0]?.model ?? 'CPU'} × ${cpus().length}, ${process.platform} ${release()} ${arch()}, Node ${process.versions.node}`;

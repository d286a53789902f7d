/** The door to the AWS SDK (Apache-2.0): recordings to S3 and what speaks its protocol. Imported when it is configured. */
import { createReadStream } from 'node:fs';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { Config } from '../config.ts';

export type S3Config = NonNullable<Config['recordings']['s3']>;
/** Keys of the account that uploads. */
export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}
/** Bytes of a part: the least that S3 takes is 5 MiB, and 10,000 parts of these are 80 GB. */
const PART = 8 * 1024 * 1024;

/** Uploads one file in parts; answers its ETag. What was begun and failed is taken back. */
export async function upload(
  path: string,
  key: string,
  { endpoint, region, bucket }: Pick<S3Config, 'endpoint' | 'region' | 'bucket'>,
  credentials: S3Keys,
  signal: AbortSignal,
): Promise<string> {
  const client = new S3Client({
    region,
    credentials,
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    // Checksums in trailers are AWS's own; servers that are merely compatible do not all know them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const Body = createReadStream(path);
  try {
    const work = new Upload({ client, params: { Bucket: bucket, Key: key, Body }, partSize: PART, queueSize: 2 });
    const abort = () => void work.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      return (await work.done()).ETag ?? '';
    } finally {
      signal.removeEventListener('abort', abort);
    }
  } finally {
    Body.destroy();
    client.destroy();
  }
}

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Thrown for what is too large for this machine's disk. */
export class TooLarge extends Error {}

/** Writes a stream into a file, at most `limit` bytes of it; says how many there were, and their SHA-256. */
export async function spool(
  stream: AsyncIterable<Uint8Array>,
  file: string,
  { limit, pace }: { limit: number; pace: () => Promise<void> },
): Promise<{ size: number; digest: Buffer }> {
  const hash = createHash('sha256');
  let size = 0;
  const handle = await open(file, 'w', 0o600);
  try {
    for await (const chunk of stream) {
      size += chunk.byteLength;
      if (size > limit) throw new TooLarge();
      hash.update(chunk);
      // All of it: `write` may write a part.
      await handle.writeFile(chunk).catch(asTooLarge);
      await pace();
    }
  } finally {
    await handle.close();
  }
  return { size, digest: hash.digest() };
}

/** Two files may lie there at a time, each below the limit. */
function asTooLarge(error: NodeJS.ErrnoException): never {
  throw error.code === 'ENOSPC' ? new TooLarge() : error;
}

import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

const PREFIX = 'export-';
/** Longer than any run. */
const LEFT_BEHIND_MS = 7 * 60_000;

/**
 * A new folder for one run. What killed runs have left beside it goes: they may be many gigabytes, and neither a Lambda's
 * disk nor that of one machine is emptied for the next run.
 */
export async function openFolder(place: string, now: Date): Promise<string> {
  const folder = await mkdtemp(path.join(place, PREFIX));
  for (const name of await readdir(place)) {
    const left = path.join(place, name);
    if (!name.startsWith(PREFIX) || left === folder) continue;
    // Another worker may take it away, or be another user.
    const [found] = await Promise.allSettled([stat(left)]);
    if (found.status === 'fulfilled' && now.getTime() - found.value.mtimeMs > LEFT_BEHIND_MS)
      await Promise.allSettled([rm(left, { recursive: true, force: true })]);
  }
  return folder;
}

import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import { endOrphanedPostmaster } from './postgres/orphan.ts';
import { awaitLeftovers } from './process/leftovers.ts';
import { postgresDirectory } from './servers.ts';

/** What the platform writes first: the mark of a folder that is its own. */
const MARK = 'operator.json';
const THOROUGHLY = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 };

/**
 * Removes a platform's data folder, which the caller has locked, and lets what a killed platform left running end
 * before. Refuses with NOT_OURS when the folder holds something else. Fails with DATA_LEFT when something could not be
 * removed; the folder still bears its mark then.
 */
export async function removeData(dataDir: string): Promise<void> {
  if (!existsSync(dataDir)) return;
  if (readdirSync(dataDir).length > 0 && !existsSync(path.join(dataDir, MARK))) {
    throw new AppError(
      'NOT_OURS',
      `${dataDir} holds something that the platform did not write; it is left as it is.`,
    );
  }
  await endOrphanedPostmaster(postgresDirectory(realpathSync(dataDir)));
  await awaitLeftovers(dataDir);
  try {
    for (const name of readdirSync(dataDir))
      if (name !== MARK) await rm(path.join(dataDir, name), THOROUGHLY);
    await rm(dataDir, THOROUGHLY);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `${dataDir} is not removed completely (${reason}); mend that, then try again.`;
    throw new AppError('DATA_LEFT', message, { cause });
  }
}

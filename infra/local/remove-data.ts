import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';

/** What the platform writes first: the mark of a folder that is its own. */
const MARK = 'operator.json';

/** Removes a platform's data folder. Refuses with NOT_OURS when the folder holds something else. */
export function removeData(dataDir: string): void {
  if (!existsSync(dataDir)) return;
  if (readdirSync(dataDir).length > 0 && !existsSync(path.join(dataDir, MARK))) {
    throw new AppError(
      'NOT_OURS',
      `${dataDir} holds something that the platform did not write; it is left as it is.`,
    );
  }
  rmSync(dataDir, { recursive: true, force: true });
}

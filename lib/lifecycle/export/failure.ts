import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { KeysReplaced } from './finish.ts';
import { type Export, storeProgress } from './rows.ts';
import { TooLarge } from './spool.ts';

/** So many runs in a row may have no time to get anything done. */
const MOST_CUT_OFF = 3;

/** What no run gets done in all of its time is too large, however often it is begun: a file, or the repository. */
export async function isTooSlow(
  run: Run,
  { begun, wanted, error }: { begun: Export; wanted: Export; error: unknown },
): Promise<boolean> {
  const isCutOff = error instanceof Parked && error.reason === 'out_of_time';
  if (!isCutOff || wanted.tail !== begun.tail) return false;
  const cut_off = (begun.progress.cut_off ?? 0) + 1;
  // As it is stored: what `wanted` says beyond that is of files that the next run does again.
  await storeProgress(run, {
    ...begun,
    upload_id: wanted.upload_id,
    progress: { ...begun.progress, cut_off },
  });
  return cut_off >= MOST_CUT_OFF;
}

/** What cannot be done, however often it is tried: for the member. */
export function failureOf(error: unknown): { code: string; message: string } | undefined {
  if (error instanceof TooLarge) {
    const message =
      'Your repository, or a file in it, is too large to be exported here. Read it from your PDS itself (com.atproto.sync.getRepo).';
    return { code: 'EXPORT_TOO_LARGE', message };
  }
  if (error instanceof KeysReplaced) {
    const message =
      'Your keys were replaced while the export was made, so those in it are not the present ones. Ask for it again.';
    return { code: 'EXPORT_KEYS_REPLACED', message };
  }
  return undefined;
}

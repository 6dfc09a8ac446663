import type { Queryable } from '../../db/connect.ts';
import type { Change } from '../changes/change.ts';
import { NO_WAY_HOME, WANTED_IN_VAIN } from './progress.ts';

/** Somebody wants the move taken back. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/**
 * Throws Cancelled when somebody wants it taken back. In the transaction of a step after which it cannot be any more, who
 * wants that a moment later is told so.
 */
export async function expectNotCancelled(sql: Queryable, change: Change): Promise<void> {
  if (await isCancelWanted(sql, change)) throw new Cancelled('taken back');
}

async function isCancelWanted(sql: Queryable, change: Change): Promise<boolean> {
  const [row] = await sql<Pick<Change, 'cancel_wanted_at'>[]>`
    SELECT cancel_wanted_at FROM pds_changes WHERE id = ${change.id} FOR UPDATE`;
  return row !== undefined && row.cancel_wanted_at !== null;
}

/** The same once the document names the new PDS; false when he cannot come home, or could not when he was wanted. */
export async function isWantedHome(sql: Queryable, change: Change): Promise<boolean> {
  const { [NO_WAY_HOME]: barred, [WANTED_IN_VAIN]: inVain } = change.progress;
  return barred !== true && inVain !== true && (await isCancelWanted(sql, change));
}

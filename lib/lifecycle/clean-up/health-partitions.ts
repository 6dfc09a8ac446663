import type { Sql, Transaction } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import { HEALTH_DAYS } from './rules.ts';

const DAYS_AHEAD = 7;
/** How long others may have to wait because of us. */
const LOCK_TIMEOUT = '2s';
const LOCK_NOT_AVAILABLE = '55P03';

/** Makes the partitions of the coming days; returns how many are new. */
export function makeHealthPartitions(deps: { sql: Sql; log: Log }): Promise<number> {
  return whenFree(deps, async (tx) => {
    const [{ made }] = await tx<[{ made: number }]>`SELECT make_health_partitions(${DAYS_AHEAD}) AS made`;
    return made;
  });
}

/** Drops one day that is over for long enough; returns how many: 1, or 0 when none is left. */
export function dropHealthPartition(deps: { sql: Sql; log: Log }): Promise<number> {
  return whenFree(deps, async (tx) => {
    const [{ dropped }] = await tx<[{ dropped: string | null }]>`
      SELECT drop_health_partition(${HEALTH_DAYS}) AS dropped`;
    return dropped === null ? 0 : 1;
  });
}

/** Both need the table for themselves. While somebody else has it for long, they leave it to the next hour: 0. */
async function whenFree({ sql, log }: { sql: Sql; log: Log }, work: (tx: Transaction) => Promise<number>) {
  try {
    return await sql.begin(async (tx) => {
      await tx.unsafe(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
      return work(tx);
    });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === LOCK_NOT_AVAILABLE)) throw error;
    log.warn('health checks are in use: their partitions are left to the next run', { error });
    return 0;
  }
}

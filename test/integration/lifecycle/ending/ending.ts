import type { StepUpNeed } from '../../../../lib/auth/step-up.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { NOTICES } from '../../../../lib/lifecycle/changes/notice.ts';
import { requestDeletion } from '../../../../lib/lifecycle/delete/request.ts';
import type { QueueDeps, WorkerDeps } from '../../../../lib/provisioning/run.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { loggedInAndSteppedUp } from '../../auth/stepped-up.ts';
import { type Bench, openBench, type QueueRow, rowOf, type Stage } from '../../provisioning/stage.ts';

/** Members whose identities end, or go to another account: a bench whose clock goes on when nothing happens. */
export type Ending = {
  bench: Bench;
  deps: WorkerDeps & QueueDeps;
  /** Superuser. */
  db: Sql;
  api: Sql;
  now: () => Date;
  skip(ms: number): void;
  /** Members with working identities, many at a time. */
  members(count: number): Promise<string[]>;
  session(userId: string, operation: string, target?: string): Promise<StepUpNeed>;
  /** Asks for a deletion, whose day is over; returns its work. */
  deletion(userId: string): Promise<string>;
  /** Has workers do the work until it is over, whenever it is due. Undefined once the row is gone. */
  untilOver(queueId: string): Promise<QueueRow | undefined>;
  /** Makes open changes due. */
  letTimePass(): Promise<void>;
  close(): Promise<void>;
};

export async function openEnding(
  stage: Stage,
  changes: Partial<WorkerDeps & QueueDeps> = {},
): Promise<Ending> {
  let skipped = 0;
  const now = () => new Date(Date.now() + skipped);
  const bench = await openBench(stage, { now, times: TIMES.local, ...changes });
  const db = connect(bench.database.superuserUrl, { max: 4 });
  const api = connect(bench.database.apiUrl, { max: 2 });
  const ending: Ending = {
    bench,
    deps: bench.deps,
    db,
    api,
    now,
    skip(ms) {
      skipped += ms;
    },
    async members(count) {
      const made: string[] = [];
      while (made.length < count) {
        const some = await Promise.all(
          Array.from({ length: Math.min(8, count - made.length) }, async () => {
            const { userId, queueId } = await bench.member();
            await performWork(bench.deps, queueId);
            return userId;
          }),
        );
        made.push(...some);
      }
      return made;
    },
    session: (userId, operation, target) => loggedInAndSteppedUp(db, userId, operation, target),
    async deletion(userId) {
      const stepUp = await ending.session(userId, 'deleteAccount');
      await requestDeletion({ sql: api, notice: NOTICES.production, now }, { userId, stepUp });
      await ending.letTimePass();
      const [row] = await db<[{ id: string }]>`
        SELECT id::text FROM pds_provisioning_queue
        WHERE user_id = ${userId} AND action = 'delete' AND status = 'pending'`;
      return row.id;
    },
    async letTimePass() {
      await db`UPDATE pds_changes SET due_at = now() - interval '1 second' WHERE ended_at IS NULL`;
      await db`
        UPDATE pds_provisioning_queue SET next_retry = now() - interval '1 second'
        WHERE action IN ('delete', 'join') AND status = 'pending'`;
    },
    async untilOver(queueId) {
      for (let run = 0; run < 20; run += 1) {
        const row: QueueRow | undefined = await rowOf(bench, queueId);
        if (row === undefined || row.status === 'completed' || row.status === 'failed') return row;
        skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
        await performWork(bench.deps, queueId);
      }
      throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
    },
    async close() {
      await Promise.all([db.end(), api.end()]);
      await bench.close();
    },
  };
  return ending;
}

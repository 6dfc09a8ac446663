import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import type { ChangeKind, Facts } from '../../../../lib/lifecycle/changes/change.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import type { Identity } from '../../../../lib/provisioning/identity.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import {
  type Bench,
  identityOf,
  openBench,
  openStage,
  rowOf,
  type Stage,
  sqlAsOwner,
} from '../../provisioning/stage.ts';

export type ChangeRow = {
  step: string;
  outcome: string | null;
  error_code: string | null;
  error_message: string | null;
};

/** Real servers, a directory among them, and a worker that waits for nothing: what has its time later has it at once. */
export async function openChangeBench() {
  const directory: Plc = await startPlc();
  const stage: Stage = await openStage({ plcUrl: directory.url });
  let skipped = 0;
  const now = () => new Date(Date.now() + skipped);
  const bench: Bench = await openBench(stage, { now });
  /** When this row is due. */
  const skipTo = async (queueId: string) => {
    const { next_retry } = await rowOf(bench, queueId);
    skipped += Math.max(0, next_retry.getTime() - now().getTime());
  };
  const lastChange = async (userId: string): Promise<ChangeRow> => {
    const [row] = await bench.sql<[ChangeRow]>`
      SELECT step, outcome, error_code, error_message FROM pds_changes WHERE user_id = ${userId} ORDER BY id DESC LIMIT 1`;
    return row;
  };
  return {
    stage,
    directory,
    bench,
    now,
    lastChange,
    skipTo,
    skip(ms: number) {
      skipped += ms;
    },
    /** The real time again, before tokens count as expired that the PDS has just made. */
    stopSkipping() {
      skipped = 0;
    },
    /** A member whose identity is active; nobody has checked it yet. */
    async member(didMethod: 'web' | 'plc' = 'web'): Promise<Identity> {
      bench.deps.naming = { ...bench.deps.naming, didMethod };
      const { userId, queueId } = await bench.member();
      await performWork(bench.deps, queueId);
      await bench.sql`UPDATE pds_provisioning_queue SET status = 'completed' WHERE user_id = ${userId}`;
      // Whoever has written to the bot hears from it.
      await sqlAsOwner(
        bench.database,
        (sql) => sql`UPDATE users SET bot_language = 'en' WHERE id = ${userId}`,
      );
      return identityOf(bench, userId);
    },
    /** A change that this member asks for; returns the row of its work. */
    async ask(
      userId: string,
      kind: ChangeKind,
      wish: Facts = {},
      of?: Identity['status'][],
    ): Promise<string> {
      const asked = await bench.sql.begin((tx) =>
        requestChange(tx, { userId, kind, wish, by: userId, now: now(), ...(of && { of }) }),
      );
      return asked.queued ?? '';
    },
    /** Works on a row whenever it is due, until it is over. */
    async workOn(queueId: string, deps = bench.deps): Promise<Awaited<ReturnType<typeof rowOf>>> {
      for (let run = 0; run < 60; run += 1) {
        const row = await rowOf(bench, queueId);
        if (row.status === 'completed' || row.status === 'failed') return row;
        await skipTo(queueId);
        await performWork(deps, queueId);
      }
      throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
    },
    toldTo: async (userId: string) =>
      (
        await bench.sql<{ kind: string }[]>`
          SELECT kind FROM telegram_messages WHERE user_id = ${userId} ORDER BY id`
      ).map(({ kind }) => kind),
    async close() {
      directory.kill('SIGCONT');
      await bench.close();
      await stage.close();
      await directory.stop();
    },
  };
}
export type ChangeBench = Awaited<ReturnType<typeof openChangeBench>>;

const READS =
  /^(SELECT|send|com\.atproto\.(sync|server\.(createSession|checkAccountStatus)|identity\.getRec)|audit)/;
const NETWORK = /^(com\.atproto\.|audit|did:plc:)/;

/**
 * The moments, as `mortal` counts them, after everything that leaves something behind, from this call on. What only reads,
 * or only holds the member for the request that follows, leaves all as it was before.
 */
export function momentsOf(calls: readonly string[], from = 0): number[] {
  const holds = (index: number) => calls[index] === 'transaction' && NETWORK.test(calls[index + 1] ?? '');
  return calls.flatMap((call, index) =>
    index < from || READS.test(call) || holds(index) ? [] : [2 * (index + 1)],
  );
}

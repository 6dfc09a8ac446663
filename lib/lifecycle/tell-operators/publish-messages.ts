import type { Queryable } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { describeNotices, type NoticeGroup } from '../../operators/describe.ts';
import { groupColumns } from './write-messages.ts';

export type Publish = (message: { subject: string; text: string }) => Promise<void>;
export type PublishDeps = {
  sql: Queryable;
  publish: Publish;
  /** Named in the subject of each mail. */
  environment: string;
  log: Log;
  metrics: Pick<Metrics, 'count'>;
};

type Claimed = NoticeGroup & { id: number; attempts: number };

/** Longer than any attempt takes: then it counts as lost. */
const LEASE = '1 minute';
const LONGEST_PAUSE = '10 minutes';
/** What one run publishes at most; after an outage the next one goes on. */
const MOST_A_RUN = 50;

/**
 * Publishes to the topic what was not yet, the longest due first. Stops at the first message that the topic does not
 * take: it comes back after a growing pause, for as long as that takes, and the next run begins with the others. One
 * whose answer was lost may be published twice, which is better than not at all.
 */
export async function publishMessages(deps: PublishDeps): Promise<{ published: number; failed: number }> {
  let published = 0;
  while (published < MOST_A_RUN) {
    const message = await claimMessage(deps.sql);
    if (message === undefined) break;
    if (!(await tryPublish(deps, message))) return { published, failed: 1 };
    published += 1;
  }
  return { published, failed: 0 };
}

async function claimMessage(sql: Queryable): Promise<Claimed | undefined> {
  const [message] = await sql<Claimed[]>`
    UPDATE operator_messages m SET attempts = attempts + 1, next_attempt_at = now() + ${LEASE}::interval
    WHERE id = (
      SELECT id FROM operator_messages WHERE published_at IS NULL AND next_attempt_at <= now()
      ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING m.id, m.attempts, ${groupColumns(sql)}`;
  return message;
}

async function tryPublish(
  { sql, publish, environment, log, metrics }: PublishDeps,
  { id, attempts, ...group }: Claimed,
): Promise<boolean> {
  const fields = { message_id: id, kind: group.kind, count: group.subject_count, attempts };
  try {
    const subject = `PDS ${environment}: ${group.kind} (${group.subject_count})`;
    await publish({ subject, text: describeNotices(group).join('\n\n') });
  } catch (error) {
    log.warn('operators not told by the topic (yet)', { ...fields, error });
    metrics.count('OperatorsNotTold');
    await sql`
      UPDATE operator_messages
      SET next_attempt_at = now() + least(${LONGEST_PAUSE}::interval, interval '30 seconds' * 2 ^ least(attempts - 1, 10))
      WHERE id = ${id} AND attempts = ${attempts}`;
    return false;
  }
  await sql`UPDATE operator_messages SET published_at = now() WHERE id = ${id}`;
  log.info('operators told by the topic', { ...fields, subjects: group.subjects });
  return true;
}

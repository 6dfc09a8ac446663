import { expect } from 'vitest';
import type { modelledQueue } from './modelled-queue.ts';
import { type Bench, sqlAsOwner } from './stage.ts';

const CREATE = 'com.atproto.server.createAccount';

/** As many logins at the same moment; each has sent its message. Returns the id of the last one's work. */
export async function logInCrowd(
  bench: Bench,
  queue: ReturnType<typeof modelledQueue>,
  { members, at }: { members: number; at: Date },
): Promise<number> {
  const rows = await sqlAsOwner(
    bench.database,
    (owner) => owner<{ id: string }[]>`
      WITH newcomers AS (
        INSERT INTO users (id, username)
        SELECT (5000000 + n)::text, 'member' || n FROM generate_series(1, ${members}::int) AS n RETURNING id
      ), mapped AS (
        INSERT INTO user_pds_mapping (user_id) SELECT id FROM newcomers ORDER BY id RETURNING user_id, pnptv_uuid
      )
      INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, next_retry, sent_at)
      SELECT user_id, pnptv_uuid, 'create', ${at}, ${at} FROM mapped RETURNING id::text`,
  );
  for (const { id } of rows) {
    await queue.client.send({ input: { QueueUrl: 'model', MessageBody: JSON.stringify({ queueId: id }) } });
  }
  return Math.max(...rows.map(({ id }) => Number(id)));
}

/** Passes calls on to a PDS and keeps what it answered: how often each status, and when it made whose account. */
export function recorded(fetch: typeof globalThis.fetch, now: () => number) {
  const answers: Record<number, number> = {};
  const created: { did: string; at: number }[] = [];
  const recording: typeof globalThis.fetch = async (url, init) => {
    const answer = await fetch(url, init);
    answers[answer.status] = (answers[answer.status] ?? 0) + 1;
    if (answer.ok && String(url).endsWith(CREATE)) {
      created.push({ did: JSON.parse(String(init?.body)).did, at: now() });
    }
    return answer;
  };
  return { fetch: recording, answers, created };
}

export async function everybodyIsActive({ sql }: Bench): Promise<boolean> {
  const [open] = await sql`SELECT FROM user_pds_mapping WHERE status <> 'active' LIMIT 1`;
  return open === undefined;
}

/** One account for everybody, and not one attempt for it. */
export async function expectNothingSpent(
  { sql }: Bench,
  { members, created }: { members: number; created: readonly unknown[] },
): Promise<void> {
  const [spent] = await sql`
    SELECT count(*) AS rows, sum(attempt_count)::int AS attempts, count(*) FILTER (WHERE status = 'failed') AS failed
    FROM pds_provisioning_queue WHERE action = 'create'`;
  expect(spent).toEqual({ rows: members, attempts: 0, failed: 0 });
  expect(created).toHaveLength(members);
}

/** By how many younger ones at most somebody was overtaken: their accounts were there a minute before his. */
export async function overtakenBy(
  { sql }: Bench,
  created: readonly { did: string; at: number }[],
): Promise<number> {
  const rows = await sql<{ pds_did: string }[]>`
    SELECT m.pds_did FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
    WHERE q.action = 'create' ORDER BY q.id`;
  const made = new Map(created.map(({ did, at }) => [did, at]));
  const byAge = rows.map(({ pds_did }) => made.get(pds_did) ?? Number.POSITIVE_INFINITY);
  return Math.max(
    ...byAge.map((at, age) => byAge.slice(age).filter((younger) => younger < at - 60_000).length),
  );
}

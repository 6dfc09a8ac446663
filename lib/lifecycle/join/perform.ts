import { isDeepStrictEqual } from 'node:util';
import { appendAudits } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import type { Run } from '../../provisioning/run.ts';
import { endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import type { Perform } from '../changes/perform.ts';
import { identitiesOf, type Join } from './join.ts';
import { readSealed, resealFor, type SealedOf } from './reseal.ts';

/** How long it waits for work that the other member has. */
const BUSY_MS = 5_000;

type Agreed = Pick<Join, 'id' | 'from_user_id' | 'to_user_id'>;

/**
 * Lets the two identities of a join change owners: the old one comes to the new Telegram account, and what that had made
 * meanwhile goes to the old account, so that nothing is lost. Holds both members, seals everything anew for its next
 * owner, and does the rest in one transaction: at whatever moment it breaks off, all of it has happened or nothing.
 * Throws Parked while the other member is in other hands, or something was sealed meanwhile.
 */
export const performJoin: Perform = async (run, change) => {
  const join = await readAgreed(run.sql, change);
  if (join === undefined) {
    // It was called off at this very moment.
    await run.sql.begin((tx) => endChange(tx, run, change, { outcome: 'cancelled' }));
    return;
  }
  const other = await takeOther(run, join.to_user_id);
  await hold(run);
  const members = [join.from_user_id, join.to_user_id];
  const before = await readSealed(run.sql, members);
  const nextOwner = (userId: string) => (userId === join.from_user_id ? join.to_user_id : join.from_user_id);
  const sealed = await resealFor(run.vault, before, nextOwner);
  await run.sql.begin(async (tx) => {
    await lockMembers(tx, members);
    if (!isDeepStrictEqual(plain(await readSealed(tx, members)), plain(before))) throw busy(run);
    await carryOut(tx, run, { change, join, other, sealed });
  });
};

async function readAgreed(sql: Queryable, change: Change): Promise<Agreed | undefined> {
  const [join] = await sql<Agreed[]>`
    SELECT j.id, j.from_user_id, j.to_user_id FROM pds_joins j
    JOIN pds_changes other ON other.user_id = j.to_user_id AND other.ended_at IS NULL
    WHERE j.change_id = ${change.id} AND j.ended_at IS NULL
      AND other.kind = 'join' AND (other.wish->>'join_id')::bigint = j.id`;
  return join;
}

/** Keeps the other member for this worker, too; a lease that a dead one has left ends by itself. */
async function takeOther({ sql, now, times }: Run, userId: string): Promise<{ epoch: number }> {
  const at = now();
  const until = new Date(at.getTime() + times.lease * 1000);
  const [other] = await sql<{ epoch: number }[]>`
    UPDATE user_pds_mapping SET epoch = epoch + 1, lease_until = ${until}
    WHERE user_id = ${userId} AND (lease_until IS NULL OR lease_until <= ${at})
    RETURNING epoch`;
  if (other === undefined) throw busy({ now });
  return other;
}

function busy({ now }: Pick<Run, 'now'>): Parked {
  return new Parked('member_busy', new Date(now().getTime() + BUSY_MS));
}

/** The queue rows before the members, as everywhere. */
async function lockMembers(tx: Transaction, members: readonly string[]): Promise<void> {
  await tx`SELECT FROM pds_provisioning_queue WHERE user_id IN ${tx(members)} ORDER BY id FOR UPDATE`;
  await tx`SELECT FROM user_pds_mapping WHERE user_id IN ${tx(members)} ORDER BY id FOR UPDATE`;
}

function plain(sealed: SealedOf): unknown {
  return JSON.parse(JSON.stringify(sealed));
}

type Parts = { change: Change; join: Agreed; other: { epoch: number }; sealed: SealedOf };

async function carryOut(tx: Transaction, run: Run, { change, join, other, sealed }: Parts): Promise<void> {
  const { from, to } = await identitiesOf(tx, join);
  const { identity, now } = run;
  await tx`SELECT join_identities(${join.id}, ${identity.epoch}, ${other.epoch}, ${tx.json(plain(sealed) as object as never)})`;
  const moved = { ...identity, user_id: to.user_id, epoch: Math.max(identity.epoch, other.epoch) + 1 };
  await endChange(tx, { work: run.work, identity: moved }, change, { outcome: 'done' });
  await appendAudits(
    tx,
    [
      { userId: to.user_id, pnptvUuid: from.pnptv_uuid },
      { userId: from.user_id, pnptvUuid: to.pnptv_uuid },
    ].map((member) => ({
      ...member,
      action: 'joined',
      status: 'success',
      details: {
        join_id: join.id,
        meaning: 'This identity belongs to another Telegram account of its member now.',
      },
    })),
  );
  const about = { join_id: join.id, pds_handle: from.pds_handle, due_at: null };
  await sayTo(tx, to.user_id, { kind: 'joined', details: about });
  await sayTo(tx, from.user_id, { kind: 'parted', details: about });
  if (identity.status === 'active') await enqueue(tx, { userId: to.user_id, action: 'verify', now: now() });
}

import { type AuditEntry, appendAudits } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { showHandle } from '../../pds/info.ts';

export type Outcome = 'done' | 'refused' | 'withdrawn' | 'expired';
/** A row of `pds_joins`, with the identity that is to go. */
export type Join = {
  id: number;
  from_user_id: string;
  to_user_id: string;
  reason: string;
  requested_by: string;
  created_at: Date;
  expires_at: Date;
  accepted_at: Date | null;
  consented_at: Date | null;
  approved_by: string | null;
  approved_at: Date | null;
  change_id: number | null;
  ended_at: Date | null;
  outcome: Outcome | null;
  /** When it is carried out; null until all have agreed. */
  due_at: Date | null;
};

/** What somebody is answered who did something about a join. */
export type Answered = { id: number; state: 'waiting' | 'agreed' | Outcome; due_at: string | null };

export function answerOf({
  id,
  due_at,
  ...join
}: Pick<Join, 'id' | 'due_at' | 'change_id' | 'outcome'>): Answered {
  return { id, state: stateOf(join), due_at: due_at?.toISOString() ?? null };
}

export function stateOf({ outcome, change_id }: Pick<Join, 'outcome' | 'change_id'>): Answered['state'] {
  return outcome ?? (change_id === null ? 'waiting' : 'agreed');
}

/**
 * A join, locked until the end of the transaction. `userId`: only for him whom it concerns. Throws `JOIN_NOT_FOUND` (404),
 * and `JOIN_NOT_OPEN` (409) for one that is over or too old to be agreed on.
 */
export async function lockJoin(tx: Transaction, joinId: number, userId?: string): Promise<Join> {
  const [join] = await tx<(Join & { is_over: boolean })[]>`
    SELECT j.*, (SELECT due_at FROM pds_changes c WHERE c.id = j.change_id) AS due_at,
      j.ended_at IS NOT NULL OR (j.change_id IS NULL AND j.expires_at <= now()) AS is_over
    FROM pds_joins j
    WHERE j.id = ${joinId} AND (${userId ?? null}::text IS NULL OR ${userId ?? null} IN (j.from_user_id, j.to_user_id))
    FOR UPDATE OF j`;
  if (join === undefined) throw apiError('JOIN_NOT_FOUND');
  if (join.is_over) throw apiError('JOIN_NOT_OPEN');
  return join;
}

type Named = { user_id: string; pnptv_uuid: string; pds_handle: string | null };

/** The identities of both accounts, as they are before the join. */
export async function identitiesOf(
  sql: Queryable,
  { from_user_id, to_user_id }: Pick<Join, 'from_user_id' | 'to_user_id'>,
): Promise<{ from: Named; to: Named }> {
  const rows = await sql<Named[]>`
    SELECT user_id, pnptv_uuid, pds_handle FROM user_pds_mapping WHERE user_id IN ${sql([from_user_id, to_user_id])}`;
  const [from, to] = [from_user_id, to_user_id].map((id) => rows.find(({ user_id }) => user_id === id));
  if (from === undefined || to === undefined) throw apiError('MEMBER_NOT_FOUND');
  const shown = (one: Named) => ({ ...one, pds_handle: showHandle(one.pds_handle) });
  return { from: shown(from), to: shown(to) };
}

/** Has the bot tell both accounts how it stands, if it may write to them; `dueAt`: when the identity goes. */
export async function tellBoth(
  tx: Queryable,
  join: Pick<Join, 'id' | 'from_user_id' | 'to_user_id'>,
  kind: 'join_asked' | 'join_due' | 'join_off',
  dueAt: Date | null = null,
): Promise<void> {
  const [from] = await tx<Pick<Named, 'pds_handle'>[]>`
    SELECT pds_handle FROM user_pds_mapping WHERE user_id = ${join.from_user_id}`;
  const handle = showHandle(from?.pds_handle ?? null);
  const details = { join_id: join.id, pds_handle: handle, due_at: dueAt?.toISOString() ?? null };
  for (const userId of [join.from_user_id, join.to_user_id]) await sayTo(tx, userId, { kind, details });
}

/** Writes into the logs of both identities what happened about a join. Neither names the other account. */
export async function logJoin(
  tx: Transaction,
  join: Pick<Join, 'id' | 'from_user_id' | 'to_user_id'>,
  what: Pick<AuditEntry, 'status' | 'createdBy'> & { happened: string },
): Promise<void> {
  const { from, to } = await identitiesOf(tx, join);
  const { happened, createdBy = 'system', status } = what;
  await appendAudits(
    tx,
    [from, to].map(({ user_id: userId, pnptv_uuid: pnptvUuid }, index) => ({
      userId,
      pnptvUuid,
      action: 'updated',
      status,
      details: { change: 'join', join_id: join.id, happened, side: index === 0 ? 'from' : 'to' },
      // In the other's log a member must not be named for ever: what is hashed there cannot be erased.
      createdBy: createdBy !== userId && isOneOf(join, createdBy) ? 'system' : createdBy,
    })),
  );
}

function isOneOf(
  { from_user_id, to_user_id }: Pick<Join, 'from_user_id' | 'to_user_id'>,
  userId: string,
): boolean {
  return userId === from_user_id || userId === to_user_id;
}

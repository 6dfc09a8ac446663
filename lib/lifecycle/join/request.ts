import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { expireJoins } from './expire.ts';
import { type Answered, answerOf, identitiesOf, type Join, logJoin, tellBoth } from './join.ts';

type Wish = { from_user_id: string; to_user_id: string; reason: string };

/**
 * Writes down that an administrator wants an identity joined to its member's new account, and tells both accounts. Asked
 * for again it is the same join. Throws `INPUT_INVALID` (400), `MEMBER_NOT_FOUND` (404), `IDENTITY_NOT_READY` (409) when
 * there is nothing to join, and `JOIN_IN_PROGRESS` (409) while one of the accounts takes part in another one.
 */
export function requestJoin(
  { sql }: { sql: Sql },
  { by, ...wish }: Wish & { by: string },
): Promise<Answered> {
  const { from_user_id, to_user_id } = wish;
  if (from_user_id === to_user_id) throw apiError('INPUT_INVALID', { fields: ['to_user_id'] });
  return sql.begin(async (tx) => {
    await identitiesOf(tx, wish);
    await expectIdentity(tx, from_user_id);
    await expireJoins(tx);
    const [made] = await tx<Join[]>`
      INSERT INTO pds_joins ${tx({ ...wish, requested_by: by })} ON CONFLICT DO NOTHING RETURNING *, NULL AS due_at`;
    if (made === undefined) return answerOf(await findSame(tx, wish));
    await logJoin(tx, made, { happened: 'requested', status: 'pending', createdBy: by });
    await tellBoth(tx, made, 'join_asked');
    return answerOf(made);
  });
}

async function expectIdentity(tx: Transaction, userId: string): Promise<void> {
  const [ready] = await tx`
    SELECT FROM user_pds_mapping WHERE user_id = ${userId} AND status IN ('active', 'revoked')`;
  if (ready === undefined) throw apiError('IDENTITY_NOT_READY');
}

async function findSame(tx: Transaction, { from_user_id, to_user_id }: Wish): Promise<Join> {
  const [same] = await tx<Join[]>`
    SELECT j.*, (SELECT due_at FROM pds_changes c WHERE c.id = j.change_id) AS due_at FROM pds_joins j
    WHERE from_user_id = ${from_user_id} AND to_user_id = ${to_user_id} AND ended_at IS NULL`;
  if (same === undefined) throw apiError('JOIN_IN_PROGRESS');
  return same;
}

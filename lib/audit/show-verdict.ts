import type * as z from 'zod/mini';
import { type Me, whoIsThere } from '../auth/session/session.ts';
import type { Sql } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import type { verifyAudit } from './api.ts';
import { verifyLog } from './verify-log.ts';

type Answer = z.output<typeof verifyAudit.data>;

/**
 * Verifies the log of one member or of all for the admin who asks. Throws `MEMBER_NOT_FOUND` (404), and
 * `AUDIT_TOO_LARGE` (503) when `signal` aborts first.
 */
export async function showVerdict(
  { sql, signal }: { sql: Sql; signal: AbortSignal },
  me: Me,
  { userId }: { userId?: string | undefined },
): Promise<Answer> {
  const members = userId === undefined ? await allMembers(me) : await chainsOf(me, userId);
  const { broken, ...counts } = await verifyLog(sql, { members, signal });
  return {
    intact: broken === null,
    ...counts,
    broken: broken && {
      pnptv_uuid: broken.pnptvUuid,
      seq: broken.seq,
      id: broken.id,
      reason: broken.fault,
    },
  };
}

/** No names, after making sure that an admin asks. */
async function allMembers(me: Me): Promise<undefined> {
  await whoIsThere(me);
}

/** By his mapping, and by the log itself: who was made to vanish from one of them is found by the other. */
async function chainsOf(me: Me, userId: string): Promise<string[]> {
  const [member] = await me<{ chains: string[] }>`
    SELECT ARRAY(
      SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${userId}
      UNION SELECT pnptv_uuid FROM pds_provisioning_log WHERE user_id = ${userId}
    )::text[] AS chains FROM users WHERE users.id = ${userId}`;
  if (!member) throw apiError('MEMBER_NOT_FOUND');
  return member.chains;
}

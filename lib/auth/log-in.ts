import { createHash } from 'node:crypto';
import type { Transaction } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import { findIdentity, type IdentityInfo } from '../pds/info.ts';
import { enqueue, type QueueId } from '../provisioning/queue.ts';
import { type Member, type NewSession, type Sessions, startSession } from './session.ts';

/** A member as his login shows him. What is absent, he does not have any more. */
export type LoginProfile = {
  /** Telegram id. */
  id: number;
  username?: string | undefined;
  first_name?: string | undefined;
  last_name?: string | undefined;
  photo_url?: string | undefined;
};

export type Login = {
  member: Omit<Member, 'session_id' | 'expires_at'>;
  /** For the cookie; stored nowhere. */
  token: string;
  expiresAt: Date;
  identity: IdentityInfo;
  /** Work for the worker that is written down but not sent yet. */
  queued: QueueId | undefined;
};

type LoginDeps = Sessions & { provisioningEnabled: boolean };

/** How long a used signature is remembered: longer than any signature is good for. */
const REMEMBER_SIGNATURE = '1 hour';

/**
 * Logs in a member whose login has been verified. In one transaction: the signature is used up, the member and his
 * new session are stored, and the work that his identity needs is written down; so a login that anything interrupts
 * leaves nothing behind, and one that is answered loses nothing. Does not wait for the work.
 * Throws `LOGIN_REPLAYED` (401) for a signature that was used before, also if it is being used at this very moment.
 */
export function logIn(
  { sql, sessionSecrets, adminIds, provisioningEnabled }: LoginDeps,
  {
    profile,
    signature,
    ...session
  }: { profile: LoginProfile; signature: string } & Omit<NewSession, 'userId'>,
): Promise<Login> {
  return sql.begin(async (tx) => {
    await useUpSignature(tx, signature);
    const member = await storeMember(tx, profile, adminIds.includes(String(profile.id)) ? 'admin' : 'member');
    const queued = await enqueueWork(tx, member.id);
    const { token, expiresAt } = await startSession(
      { tx, sessionSecrets },
      { userId: member.id, ...session },
    );
    const identity = await findIdentity({ sql: tx, provisioningEnabled }, member.id);
    return { member, token, expiresAt, identity, queued };
  });
}

async function useUpSignature(tx: Transaction, signature: string): Promise<void> {
  const hash = createHash('sha256').update(signature).digest();
  const used = await tx`
    INSERT INTO login_nonces (signature_hash, expires_at) VALUES (${hash}, now() + ${REMEMBER_SIGNATURE}::interval)
    ON CONFLICT (signature_hash) DO NOTHING`;
  if (used.count === 0) throw apiError('LOGIN_REPLAYED');
}

async function storeMember(
  tx: Transaction,
  profile: LoginProfile,
  role: Member['role'],
): Promise<Login['member']> {
  const { id, username = null, first_name = null, last_name = null, photo_url = null } = profile;
  const row = { id: String(id), username, first_name, last_name, photo_url, role };
  await tx`
    INSERT INTO users ${tx(row)}
    ON CONFLICT (id) DO UPDATE SET
      username = EXCLUDED.username, first_name = EXCLUDED.first_name, last_name = EXCLUDED.last_name,
      photo_url = EXCLUDED.photo_url, role = EXCLUDED.role, last_login_at = now()`;
  return row;
}

/**
 * What a login sets in motion: the identity's making when there is none yet, another try when it failed, a check when
 * the last one is over an hour old.
 */
async function enqueueWork(tx: Transaction, userId: string): Promise<QueueId | undefined> {
  const [identity] = await tx<{ status: string; is_stale: boolean; is_open: boolean }[]>`
    SELECT status, coalesce(last_verified_at < now() - interval '1 hour', true) AS is_stale,
      EXISTS (SELECT FROM pds_provisioning_queue q WHERE q.user_id = m.user_id
        AND q.action IN ('create', 'retry') AND q.status IN ('pending', 'processing')) AS is_open
    FROM user_pds_mapping m WHERE user_id = ${userId}`;
  const action = actionFor(identity);
  if (action === undefined) return undefined;
  const { queueId, created } = await enqueue(tx, { userId, action });
  return created ? queueId : undefined;
}

function actionFor(identity: { status: string; is_stale: boolean; is_open: boolean } | undefined) {
  if (identity === undefined) return 'create';
  if (identity.status === 'active') return identity.is_stale ? 'verify' : undefined;
  if (identity.status === 'revoked' || identity.is_open) return undefined;
  return identity.status === 'error' ? 'retry' : 'create';
}

import { createHash } from 'node:crypto';
import type { Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { findIdentity, type IdentityInfo } from '../../pds/info.ts';
import { enqueue, type QueueId } from '../../provisioning/queue/queue.ts';
import { limitUse } from '../rate-limit.ts';
import { type Member, type NewSession, type Sessions, startSession } from '../session/session.ts';

/** A member as his login shows him. What is absent, he does not have any more. */
export type LoginProfile = {
  /** Telegram id. */
  id: number;
  username?: string | undefined;
  first_name?: string | undefined;
  last_name?: string | undefined;
  photo_url?: string | undefined;
};

/** What a door may say about a member, beside who he is. */
export type ProfileField = Exclude<keyof LoginProfile, 'id'>;
export const PROFILE_FIELDS: readonly ProfileField[] = ['username', 'first_name', 'last_name', 'photo_url'];

export type LoginDeps = Sessions & { provisioningEnabled: boolean };

/** A member who came through one of the doors, and what his coming set in motion. */
export type Arrival = {
  member: Omit<Member, 'session_id' | 'expires_at'>;
  identity: IdentityInfo;
  /** Work for the worker that is written down but not sent yet. */
  queued: QueueId | undefined;
};

export type Login = Arrival & {
  /** For the cookie or the bearer; stored nowhere. */
  token: string;
  expiresAt: Date;
};

/** How long a used signature is remembered: longer than any signature is good for. */
const REMEMBER_SIGNATURE = '1 hour';

/**
 * Logs in a member whose login has been verified. In one transaction: the signature is used up (where it is good for
 * one login only), the member and his new session are stored, and the work that his identity needs is written down; so
 * a login that anything interrupts leaves nothing behind, and one that is answered loses nothing. Does not wait for the
 * work. Throws `LOGIN_REPLAYED` (401) for a signature that was used before, also if it is being used at this very
 * moment, and what {@link letIn} throws.
 */
export function logIn(
  deps: LoginDeps,
  { profile, unsaid, signature, ...session }: LoginProfileAndSession,
): Promise<Login> {
  return deps.sql.begin(async (tx) => {
    if (signature !== undefined) await useUpSignature(tx, signature);
    return letIn(tx, deps, await welcome(tx, deps, profile, unsaid), session);
  });
}
type LoginProfileAndSession = {
  profile: LoginProfile;
  /** See {@link welcome}. */
  unsaid?: readonly ProfileField[];
  signature?: string;
} & Omit<NewSession, 'userId'>;

/**
 * Stores a member as he comes and writes down the work that his identity needs, as part of the caller's transaction.
 * A door that cannot know some fields names them in `unsaid`: where it says nothing, what is known already stays.
 */
export async function welcome(
  tx: Transaction,
  deps: Pick<LoginDeps, 'adminIds' | 'provisioningEnabled'>,
  profile: LoginProfile,
  unsaid: readonly ProfileField[] = [],
): Promise<Arrival> {
  const role = deps.adminIds.includes(String(profile.id)) ? 'admin' : 'member';
  const member = await storeMember(tx, profile, role, unsaid);
  const queued = await enqueueWork(tx, member.id);
  const identity = await findIdentity({ ...deps, sql: tx }, member.id);
  return { member, identity, queued };
}

/** Through whichever doors: no person comes as often, and no program shall fill the list of his sessions. */
const LOGINS_OF_MEMBER = { max: 300, windowSeconds: 600 } as const;

/**
 * Starts the session of a member who has come, as part of the caller's transaction. Throws `RATE_LIMITED` (429) for one
 * who came too often; what his login would have used up is still good then.
 */
export async function letIn(
  tx: Transaction,
  deps: Pick<LoginDeps, 'sessionSecrets'>,
  arrival: Arrival,
  session: Omit<NewSession, 'userId'>,
): Promise<Login> {
  const userId = arrival.member.id;
  await limitUse(tx, 'login', userId, LOGINS_OF_MEMBER);
  return { ...arrival, ...(await startSession({ ...deps, tx }, { userId, ...session })) };
}

/** Uses up a signature that is good once, as part of the caller's transaction. Throws `refusal` if it was used before. */
export async function useUpSignature(
  tx: Transaction,
  signature: string,
  refusal: 'LOGIN_REPLAYED' | 'SIGNATURE_REPLAYED' = 'LOGIN_REPLAYED',
): Promise<void> {
  const hash = createHash('sha256').update(signature).digest();
  const used = await tx`
    INSERT INTO login_nonces (signature_hash, expires_at) VALUES (${hash}, now() + ${REMEMBER_SIGNATURE}::interval)
    ON CONFLICT (signature_hash) DO NOTHING`;
  if (used.count === 0) throw apiError(refusal);
}

async function storeMember(
  tx: Transaction,
  profile: LoginProfile,
  role: Member['role'],
  unsaid: readonly ProfileField[],
): Promise<Login['member']> {
  const { id, username = null, first_name = null, last_name = null, photo_url = null } = profile;
  const row = { id: String(id), username, first_name, last_name, photo_url, role };
  const next = (field: ProfileField) =>
    unsaid.includes(field)
      ? tx`${tx(field)} = coalesce(EXCLUDED.${tx(field)}, users.${tx(field)})`
      : tx`${tx(field)} = EXCLUDED.${tx(field)}`;
  const [member] = await tx<[Login['member']]>`
    INSERT INTO users ${tx(row)}
    ON CONFLICT (id) DO UPDATE SET
      ${next('username')}, ${next('first_name')}, ${next('last_name')}, ${next('photo_url')},
      role = EXCLUDED.role, last_login_at = now()
    RETURNING id, username, first_name, last_name, photo_url, role`;
  return member;
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

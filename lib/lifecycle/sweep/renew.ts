import { AppError } from '../../app-error.ts';
import type { Did } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { renewSession } from '../../pds/probes/session.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { openFromMapping, sealForMapping } from '../../provisioning/secrets.ts';
import { enqueueChecks } from './doubts.ts';
import { credentialsDue } from './due.ts';
import { type Group, isBeingChecked, membersOf, type SweepDeps, WIDTH } from './group.ts';
import { connectionOf } from './homes.ts';
import { minding } from './provider-trouble.ts';
import { takeRequests } from './request-budget.ts';
import { sideBySide } from './side-by-side.ts';

/** Members who are claimed at once: they are through long before their lease is, and little is repeated after a crash. */
const CHUNK = 25;
/** What the vault says of one sealed value that was changed (lib/vault/secrets.ts). */
const UNREADABLE = new Set(['SEALED_VALUE_INVALID', 'SEALED_VALUE_UNREADABLE']);

type Due = {
  id: number;
  user_id: string;
  epoch: number;
  pds_did: Did;
  data_key_id: string;
  credential_version: number;
  pds_refresh_token: string;
};
type Tried = { id: number; epoch: number; access?: string; refresh?: string; refused: boolean };

/**
 * Proves the credentials of those who are due, by refreshing their sealed sessions; the tokens are sealed anew. Whose
 * session is refused, or does not open, gets a whole check. Says who was proven, and whether some are left for later.
 */
export async function renewDue(
  deps: SweepDeps,
  group: Group,
): Promise<{ proven: number[]; isLeft: boolean }> {
  const { sql, now } = deps;
  const { home, deadline } = group;
  const trouble = minding(deps, home.id);
  const tried: number[] = [];
  const proven: number[] = [];
  for (;;) {
    const [due] = await sql<[{ count: number }]>`
      SELECT count(*)::int FROM user_pds_mapping m WHERE ${dueAmong(deps, group, tried)}`;
    if (due.count === 0) return { proven, isLeft: false };
    if (trouble.found || now() > deadline) return { proven, isLeft: true };
    const wanted = Math.min(CHUNK, due.count);
    const granted = await takeRequests(sql, home.id, { wanted, now: now() });
    if (granted === 0) return { proven, isLeft: true };
    const members = await claimDue(deps, group, { tried, count: granted });
    // The others are another worker's who got the same message.
    if (members.length === 0) return { proven, isLeft: false };
    tried.push(...members.map(({ id }) => id));
    const results = await sideBySide(members, WIDTH, (member) => renew(deps, { group, member, trouble }));
    proven.push(...(await settle(deps, results)));
  }
}

function dueAmong({ sql, now, checkHours: hours }: SweepDeps, group: Group, tried: readonly number[]) {
  return sql`${membersOf(sql, group, now())} AND m.verification_status = 'accessible'
    AND ${credentialsDue(sql, { now: now(), hours })} AND m.id <> ALL(${tried}::bigint[]) AND NOT ${isBeingChecked(sql)}`;
}

/** As `claim` does for one: the lease keeps others away, and with the new epoch everything fails that they still write. */
async function claimDue(
  deps: SweepDeps,
  group: Group,
  { tried, count }: { tried: readonly number[]; count: number },
): Promise<Due[]> {
  const { sql, now, leaseSeconds } = deps;
  return sql<Due[]>`
    WITH due AS (
      SELECT id FROM user_pds_mapping m WHERE ${dueAmong(deps, group, tried)}
      ORDER BY credentials_checked_at, id LIMIT ${count} FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE user_pds_mapping m SET epoch = epoch + 1, lease_until = ${new Date(now().getTime() + leaseSeconds * 1000)}
    FROM due WHERE m.id = due.id
    RETURNING m.id, m.user_id, m.epoch, m.pds_did, m.data_key_id, m.credential_version, m.pds_refresh_token`;
}

type Renewal = { group: Group; member: Due; trouble: ReturnType<typeof minding> };

async function renew(deps: SweepDeps, { group, member, trouble }: Renewal): Promise<Tried> {
  const { vault } = deps;
  const { id, epoch, data_key_id, pds_did: did, pds_refresh_token } = member;
  if (trouble.found) return { id, epoch, refused: false };
  try {
    const token = await openFromMapping(vault, member, 'pds_refresh_token', pds_refresh_token);
    const refreshJwt = Buffer.from(token).toString('utf8');
    const session = await renewSession(connectionOf(deps, group.home), { did, refreshJwt });
    const [access, refresh] = await Promise.all([
      sealForMapping(vault, data_key_id, member, 'pds_access_token', session.accessJwt),
      sealForMapping(vault, data_key_id, member, 'pds_refresh_token', session.refreshJwt),
    ]);
    return { id, epoch, access, refresh, refused: false };
  } catch (error) {
    // His alone: the others of his data key must not wait for it. The whole check says what it is.
    if (error instanceof AppError && UNREADABLE.has(error.code)) return { id, epoch, refused: true };
    if (!(error instanceof XrpcError)) throw error;
    return { id, epoch, refused: !(await trouble.note(error)) };
  }
}

/** Stores the tokens and gives the members free, in one transaction; who was claimed by others meanwhile is left to them. */
async function settle({ sql, now }: SweepDeps, tried: readonly Tried[]): Promise<number[]> {
  return sql.begin(async (tx) => {
    const refused = tried.filter((member) => member.refused).map(({ id }) => id);
    await enqueueChecks(tx, refused, now());
    await store(tx, tried, now());
    return tried.filter(({ access }) => access !== undefined).map(({ id }) => id);
  });
}

async function store(tx: Queryable, tried: readonly Tried[], now: Date): Promise<void> {
  await tx`
    WITH tried AS (
      SELECT w.id, w.access, w.refresh
      FROM jsonb_to_recordset(${tx.json([...tried])}) AS w (id bigint, epoch bigint, access text, refresh text)
      JOIN user_pds_mapping m ON m.id = w.id AND m.epoch = w.epoch ORDER BY m.id FOR NO KEY UPDATE OF m
    )
    UPDATE user_pds_mapping m SET
      lease_until = NULL,
      pds_access_token = coalesce(tried.access, m.pds_access_token),
      pds_refresh_token = coalesce(tried.refresh, m.pds_refresh_token),
      credentials_checked_at = CASE WHEN tried.access IS NULL THEN m.credentials_checked_at ELSE ${now}::timestamptz END
    FROM tried WHERE m.id = tried.id`;
}

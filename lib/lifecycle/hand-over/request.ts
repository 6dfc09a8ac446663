import { appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import { expectStepUp, type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Did } from '../../brands.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { didOfEndpoint, type Strangers } from '../../pds/strangers.ts';
import type { Notice } from '../changes/notice.ts';
import { requestChange } from '../changes/request.ts';
import type { Destination } from '../recovery-key/words.ts';
import { leavingNews } from './news.ts';
import { findAccount, isKeptFor, isUnder, lookAtHandle, lookAtPds, type TargetProblem } from './target.ts';
import { type DestinationBody, factsOf, readDestination, type Wish } from './wish.ts';

export type HandOverDeps = {
  sql: Sql;
  strangers: Strangers;
  notice: Pick<Notice, 'handOver'>;
  /** PDS_DOMAIN */
  domain: string;
  now: () => Date;
};
/** The member hears of it again when so much of his notice is left. */
const REMINDED_BEFORE = 1 / 3;

/** `missing`: what would stand in the way as of now, and does not have to be there before it is due. */
export type RequestedHandOver = { change_id: number; due_at: string; missing: TargetProblem[] };

/**
 * Asks for a member to be handed over to a PDS that he names, in 72 hours, by his session and his second factor, once
 * that PDS answers as one. Sent again it is told of the same change, and of what is missing by then. Throws
 * `STEP_UP_REQUIRED`, `TARGET_INVALID`, `TARGET_UNREACHABLE`, `TARGET_NOT_A_PDS`, `TARGET_IS_OURS`, and what
 * `requestChange` throws.
 */
export async function requestHandOver(
  deps: HandOverDeps,
  body: DestinationBody,
  stepUp: StepUpNeed,
): Promise<RequestedHandOver> {
  await expectStepUp(deps.sql, stepUp);
  const destination = readDestination(deps.strangers, body);
  await expectPds(deps, destination);
  const { userId } = stepUp;
  const missing = await findMissing(deps, userId, destination);
  return deps.sql.begin(async (tx) => {
    const wish = { ...destination, firm: false };
    const requested = await writeDown(tx, deps, { userId, by: userId, wish, now: deps.now() });
    await useStepUp(tx, stepUp);
    return { ...requested, missing };
  });
}

/**
 * What a member has not done yet, or not right: his account is not there, or the handle of another domain does not lead to
 * his DID. He has the notice to do it, and hears of it now, not when that is over.
 */
export async function findMissing(
  { sql, strangers, domain, now }: HandOverDeps,
  userId: string,
  { endpoint, handle }: Destination,
): Promise<TargetProblem[]> {
  const [member] = await sql<{ did: Did | null }[]>`
    SELECT pds_did AS did FROM user_pds_mapping WHERE user_id = ${userId}`;
  const did = member?.did ?? null;
  if (did === null) return [];
  const [obstacle, ofHandle] = await Promise.all([
    findAccount({ strangers, now }, { endpoint, did }),
    lookAtHandle({ sql, strangers, domain }, { userId, did, handle }),
  ]);
  return [obstacle?.code, ofHandle].filter((problem) => problem !== undefined);
}

/** Throws `TARGET_UNREACHABLE` or `TARGET_NOT_A_PDS` (409). */
export async function expectPds(deps: HandOverDeps, { endpoint }: Destination): Promise<void> {
  const wrong = await lookAtPds(deps, endpoint);
  if (wrong?.code === 'TARGET_UNREACHABLE') throw apiError('TARGET_UNREACHABLE');
  if (wrong) throw apiError('TARGET_NOT_A_PDS');
}

/**
 * Throws `TARGET_IS_OURS` (409) for a PDS where the account that is there is one that we made: where he lives now, or lived
 * before a move. It would pass for his own, and the living one would be closed for it. Who has left may name his again.
 */
async function expectAnotherAccount(tx: Transaction, userId: string, { endpoint }: Destination) {
  const [ours] = await tx`
    SELECT FROM user_pds_mapping m LEFT JOIN pds_providers home ON home.id = m.provider_id
    WHERE m.user_id = ${userId} AND m.left_at IS NULL AND (
      m.pds_endpoint = ${endpoint} OR home.endpoint = ${endpoint} OR home.service_did = ${didOfEndpoint(endpoint)}
      OR EXISTS (
        SELECT FROM pds_possible_orphans o JOIN pds_providers p ON p.id = o.provider_id
        WHERE o.user_id = m.user_id AND o.state IN ('possible', 'closing', 'deactivated')
          AND (p.endpoint = ${endpoint} OR p.service_did = ${didOfEndpoint(endpoint)})))`;
  if (ours) throw apiError('TARGET_IS_OURS');
}

/** Writes the change down, and tells the member, in the caller's transaction. He is told again before it happens. */
export async function writeDown(
  tx: Transaction,
  { notice: { handOver }, domain }: Pick<HandOverDeps, 'notice' | 'domain'>,
  { userId, by, wish, now }: { userId: string; by: string; wish: Wish; now: Date },
): Promise<Omit<RequestedHandOver, 'missing'>> {
  const [member] = await tx<{ pnptv_uuid: string; pds_did: Did; did_method: string }[]>`
    SELECT pnptv_uuid, pds_did, did_method FROM user_pds_mapping WHERE user_id = ${userId}`;
  if (member?.did_method === 'web' && wish.rotationKeys.length > 0)
    throw apiError('TARGET_INVALID', { fields: ['rotation_keys'] });
  const { handle } = wish;
  if (member && handle !== null && isUnder(domain, handle)) {
    const kept = await isKeptFor(tx, { userId, did: member.pds_did, handle });
    if (!kept) throw apiError('TARGET_INVALID', { fields: ['handle'] });
  }
  await expectAnotherAccount(tx, userId, wish);
  const dueAt = new Date(now.getTime() + handOver * 1000);
  const of = ['active', 'revoked'] as const;
  const {
    changeId,
    dueAt: due,
    isNew,
  } = await requestChange(tx, {
    userId,
    kind: 'hand_over',
    wish: factsOf(wish),
    by,
    dueAt,
    of,
    now,
  });
  if (isNew && member) {
    await tx`
      UPDATE pds_provisioning_queue SET next_retry = ${new Date(dueAt.getTime() - handOver * 1000 * REMINDED_BEFORE)}
      WHERE user_id = ${userId} AND action = 'hand_over' AND status = 'pending'`;
    await sayTo(tx, userId, leavingNews({ wish: factsOf(wish), by }, { event: 'requested', at: due }));
    await appendAudit(tx, {
      userId,
      pnptvUuid: member.pnptv_uuid,
      action: 'handed_over',
      status: 'pending',
      details: { change_id: changeId, ...factsOf(wish), due_at: due, by_recovery_key: by === 'recovery_key' },
      createdBy: userId,
    });
  }
  return { change_id: changeId, due_at: due.toISOString() };
}

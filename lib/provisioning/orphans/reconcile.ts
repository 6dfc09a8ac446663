import { admit } from '../../pds/breaker.ts';
import { deactivateAccount } from '../../pds/client/accounts.ts';
import { deleteAccount } from '../../pds/client/admin.ts';
import { capabilitiesOf } from '../../pds/provider.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { withAdmin } from '../account/adopt.ts';
import { type AccountHost, findHost, reportProvider } from '../providers/provider-access.ts';
import type { WorkerDeps } from '../run.ts';
import { LOOK_BACK_MS } from './left.ts';
import { lookForOrphan } from './look.ts';
import { openOrphanPassword } from './password.ts';
import {
  beginClosing,
  claimOrphan,
  type End,
  leaveUntil,
  noteAbsent,
  noteLivedIn,
  type Orphan,
  settleOrphan,
} from './rows.ts';

export type ReconcileDeps = Pick<
  WorkerDeps,
  'sql' | 'vault' | 'providers' | 'fetch' | 'now' | 'times' | 'log' | 'metrics'
>;
type Result = End | 'postponed';

/** To a PDS, about one account. */
const MOST_REQUESTS = 5;

/**
 * Finds out what became of accounts that may have come to be where their members do not live, and does away with those
 * that are proven ours: it deletes them where the provider lets us, else it makes sure that they are deactivated, as
 * they were born. One that it finds active is deactivated at once, and deleted only after the time for looking back: it may
 * have been written to. What a member lives on it never touches, nor what our password does not open. Every step may be
 * repeated, and a provider that does not answer only postpones it. Stops before `deadline`; the next run goes on. Throws
 * at its end what nobody foresaw of one of them.
 */
export async function reconcileOrphans(deps: ReconcileDeps, deadline: Date): Promise<Record<Result, number>> {
  const { sql, providers, now, times, log } = deps;
  const results = { absent: 0, deleted: 0, deactivated: 0, foreign: 0, in_use: 0, postponed: 0 };
  const deletingAt = providers
    .filter((provider) => capabilitiesOf(provider).includes('delete'))
    .map(({ id }) => id);
  const down = new Set<string>();
  const crashes: unknown[] = [];
  const isLate = () => now().getTime() + MOST_REQUESTS * times.http * 1000 > deadline.getTime();
  while (!isLate()) {
    const startedBefore = new Date(now().getTime() - times.quarantine * 1000);
    const orphan = await claimOrphan(sql, { now: now(), startedBefore, deletingAt });
    if (!orphan) break;
    const result = await reconcile(deps, orphan, down).catch((error): Result => {
      log.error('possible orphan not looked at', { orphan: orphan.id, error });
      crashes.push(error);
      return 'postponed';
    });
    results[result] += 1;
  }
  if (crashes.length > 0) throw crashes[0];
  return results;
}

async function reconcile(deps: ReconcileDeps, orphan: Orphan, down: Set<string>): Promise<Result> {
  const { sql, now, times, log } = deps;
  if (down.has(orphan.provider_id)) return postpone(deps, orphan);
  const host = await findHost(deps, orphan.provider_id);
  const { admitted } = await admit(sql, host.state, { now: now(), probeMs: times.lease * 1000 });
  if (!admitted) return postpone(deps, orphan);
  const fields = { provider: orphan.provider_id, pnptv_uuid: orphan.pnptv_uuid };
  try {
    const end = await endOrphan(deps, host, orphan, LOOK_BACK_MS);
    await reportProvider(deps, host);
    return end ?? 'postponed';
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error;
    await reportProvider(deps, host, error);
    if (error.providerDown) down.add(orphan.provider_id);
    log.warn('possible orphan not settled', { ...fields, error });
    return postpone(deps, orphan);
  }
}

/** Whoever did not answer may have been asleep, and a creation with him: what was seen before says nothing any more. */
async function postpone({ sql }: ReconcileDeps, orphan: Orphan): Promise<'postponed'> {
  await noteAbsent(sql, orphan, null);
  return 'postponed';
}

/**
 * Finds out what became of one, does away with it if it is ours, and writes that down; of one where he may have written
 * something, after `lookBackMs`. Undefined when it is for a later look to say. Throws XrpcError when the PDS does not answer.
 */
export async function endOrphan(
  deps: ReconcileDeps,
  host: AccountHost,
  orphan: Orphan,
  lookBackMs = 0,
): Promise<End | undefined> {
  const { sql, now, log } = deps;
  const end = await findEnd(deps, host, orphan, lookBackMs);
  if (end === undefined) return undefined;
  await settleOrphan(sql, orphan, end, now());
  const { provider_id: provider, pnptv_uuid } = orphan;
  log.info('possible orphan settled', { provider, pnptv_uuid, outcome: end });
  return end;
}

/** What becomes of it; undefined when that is for a later look to say. */
async function findEnd(
  deps: ReconcileDeps,
  host: AccountHost,
  orphan: Orphan,
  lookBackMs: number,
): Promise<End | undefined> {
  const { sql, vault, now } = deps;
  const password = await openOrphanPassword(vault, orphan);
  const found = await lookForOrphan(host.pds, { did: orphan.pds_did, password });
  if (found.kind === 'absent') return isAbsentForGood(deps, orphan);
  if (found.kind !== 'ours') return found.kind;
  const begun = await beginClosing(sql, orphan);
  if (begun !== 'mine') return begun === 'gone' ? undefined : begun;
  if (found.activated) {
    await noteLivedIn(sql, orphan, now());
    await deactivateAccount(host.pds, found.session.accessJwt);
  }
  const until = new Date((orphan.moved_at?.getTime() ?? 0) + lookBackMs);
  if (host.admin && now() < until) {
    await leaveUntil(sql, orphan, until);
    return undefined;
  }
  const deleted = await withAdmin(deps, host, (admin) => deleteAccount(admin, orphan.pds_did));
  return deleted.asAdmin ? 'deleted' : 'deactivated';
}

/**
 * A PDS that was asleep may have the creation still under way when it wakes up: so it is only after a second look, a
 * quarantine after the first, that there is none.
 */
async function isAbsentForGood({ sql, now, times }: ReconcileDeps, orphan: Orphan): Promise<End | undefined> {
  if (orphan.state !== 'possible') return 'deleted';
  const { absent_since: since } = orphan;
  if (since && since.getTime() <= now().getTime() - times.quarantine * 1000) return 'absent';
  if (since === null) await noteAbsent(sql, orphan, now());
  return undefined;
}

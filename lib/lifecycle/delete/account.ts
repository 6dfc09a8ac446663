import { AppError } from '../../app-error.ts';
import type { Did } from '../../brands.ts';
import { deactivateAccount, getRepoStatus } from '../../pds/client/accounts.ts';
import { deleteAccount, getAccountInfo, type PdsAdmin } from '../../pds/client/admin.ts';
import { resolveHandle } from '../../pds/client/identity.ts';
import { openSession } from '../../pds/probes/session.ts';
import { didOfEndpoint } from '../../pds/strangers.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import { accountPassword, withAdmin } from '../../provisioning/account/adopt.ts';
import { quarantineEnd } from '../../provisioning/account/quarantine.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { type AccountHost, serviceDidOf } from '../../provisioning/providers/provider-access.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { hold } from '../changes/hold.ts';
import { atProvider } from './at-provider.ts';

/** What became of an account. */
export type AccountEnd =
  | 'deleted'
  /** There is none. */
  | 'absent'
  /** We may not delete there; only the PDS's operator can. */
  | 'deactivated'
  /** It is there, and neither our password nor any right of ours opens it. */
  | 'left';

/** Ends the account where the member lives; one that was perhaps made and not heard of, too. May be repeated. */
export async function endOwnAccount(run: Run, providerId: string): Promise<AccountEnd> {
  const { identity } = run;
  const wasMade = identity.provisioning_step !== 'reserved' && identity.provisioning_step !== 'requested';
  if (!wasMade && identity.create_started_at === null) return 'absent';
  if (!wasMade) await awaitQuarantine(run);
  return atProvider(run, providerId, async (host) => {
    const did = await findDid(run, host);
    return did === undefined ? 'absent' : endAccount(run, host, did);
  });
}

/** What was sent and not answered may still be running, and would make the account after it was deleted. */
async function awaitQuarantine(run: Run): Promise<void> {
  const until = quarantineEnd(run);
  if (until && until > run.now()) throw new Parked('outcome_unknown', until);
}

/** A did:plc that the PDS made and nobody told us of is found by the handle that only this account was to have. */
async function findDid({ sql, identity }: Run, { pds }: AccountHost): Promise<Did | undefined> {
  const { pds_did, service_handle } = identity;
  if (pds_did !== null || service_handle === null) return pds_did ?? undefined;
  const did = await resolveHandle(pds, service_handle);
  if (did !== undefined) await updateIdentity(sql, identity, { pds_did: did as Did });
  return did as Did | undefined;
}

async function endAccount(run: Run, host: AccountHost, did: Did): Promise<AccountEnd> {
  const deleted = await withAdmin(run, host, async (admin) => {
    const found = await getAccountInfo(admin, did);
    // Also where there is none: what a creation that broke off has left may have no account and a repo.
    await deleteAccount(admin, did);
    return found === undefined ? 'absent' : 'deleted';
  });
  if (deleted.asAdmin) return deleted.result;
  // Who left long ago has none any more.
  if (run.identity.account_password_sealed === null) return asItIs(host, did);
  try {
    const { accessJwt } = await openSession(host.pds, { did, password: await accountPassword(run) });
    await hold(run);
    await deactivateAccount(host.pds, accessJwt, { deleteAfter: run.now() });
    return 'deactivated';
  } catch (error) {
    if (!isRejection(error) && !isUnreadable(error)) throw error;
    run.log.warn('an account is neither ours to delete nor to open', { provider: host.provider.id, error });
    return asItIs(host, did);
  }
}

async function asItIs({ pds }: AccountHost, did: Did): Promise<AccountEnd> {
  try {
    const { active } = await getRepoStatus(pds, did);
    return active ? 'left' : 'deactivated';
  } catch (error) {
    if (isRejection(error, 'RepoNotFound')) return 'absent';
    throw error;
  }
}

/**
 * Deletes what he left behind at a provider of ours where he does not live: before a move, or after a failover. Undefined
 * where we have no rights to look.
 */
export async function endForeignAccount(
  run: Run,
  providerId: string,
  did: Did,
): Promise<AccountEnd | undefined> {
  return atProvider(run, providerId, async (host) => {
    const ended = await withAdmin(run, host, (admin) => deleteIfThere(admin, did));
    return ended.asAdmin ? ended.result : undefined;
  });
}

/**
 * Deletes what somebody left behind who has left us, and since deactivated; not if it is there that he lives now, by a
 * password of his own. Undefined where we have no rights to.
 */
export function endLeftBehind(run: Run, providerId: string): Promise<AccountEnd | undefined> {
  const { pds_did: did, pds_endpoint: endpoint } = run.identity;
  if (did === null || endpoint === null) throw new Error('nobody leaves without a DID and a PDS');
  return atProvider(run, providerId, async (host) => {
    if ((await serviceDidOf(run, host)) === didOfEndpoint(endpoint)) return undefined;
    const ended = await withAdmin(run, host, (admin) => deleteIfThere(admin, did));
    return ended.asAdmin ? ended.result : undefined;
  });
}

async function deleteIfThere(admin: PdsAdmin, did: Did): Promise<AccountEnd> {
  if ((await getAccountInfo(admin, did)) === undefined) return 'absent';
  await deleteAccount(admin, did);
  return 'deleted';
}

/** What was sealed was changed, or does not belong there: it opens for nobody, however long one waits. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof AppError && /^SEALED_VALUE_/.test(error.code);
}

import { updateAccountPassword } from '../../pds/client/admin.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { openSession, renewSession } from '../../pds/probes/session.ts';
import { toHaveAdminRights } from '../../pds/provider.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { accountPassword, withAdmin } from '../../provisioning/account/adopt.ts';
import { type AccountHost, openAccountHost } from '../../provisioning/providers/provider-access.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import type { Change } from '../changes/change.ts';
import { holdOn } from '../changes/hold.ts';
import { isWornOut } from '../changes/patience.ts';
import { made, openMadePassword } from './made.ts';

/** Why something stayed as it was. */
export type Kept = 'NO_ADMIN_RIGHTS' | 'PDS_KEPT_IT' | 'PDS_TROUBLE' | 'PDS_REFUSES' | 'ACCOUNT_TAKEN_DOWN';
/** What came of it at the PDS: a password that it has taken and that was tried, and a session; or why not. */
export type Access = {
  password: 'new' | { kept: Kept };
  session: PdsSession | { kept: Kept };
};

/**
 * Gives the account the password that was made, and proves by a session which one it has: the new one, or the one before,
 * which are both sealed. May be repeated at any time. Where nobody gave us the right to set one, only the session is
 * renewed, and where that does not go, the stored one stays.
 *
 * Throws what makes a run wait while the PDS does not answer, and ACCOUNT_LOCKED when it takes neither password. After a day
 * of either, the rotation ends without the PDS.
 */
export async function renewAccess(run: Run, change: Change): Promise<Access> {
  await holdOn(run);
  if (!made(change, 'account_password')) return renewStored(run);
  try {
    run.host = await openAccountHost(run);
    return await setPassword(run, run.host, change);
  } catch (error) {
    if (!(await isWornOut(run, change, error))) throw error;
    run.log.warn('the keys are rotated without the PDS', { error });
    const kept = error instanceof ProvisioningError ? 'PDS_REFUSES' : 'PDS_TROUBLE';
    return { password: { kept }, session: { kept } };
  }
}

async function setPassword(run: Run, host: AccountHost, change: Change): Promise<Access> {
  const did = reserved(run).pds_did;
  const password = await openMadePassword(run, change);
  const set = await withAdmin(run, host, (admin) => updateAccountPassword(admin, { did, password }));
  const fresh = await tryPassword(host, { did, password });
  if (fresh) return { password: 'new', session: fresh };
  const stored = await tryPassword(host, { did, password: await accountPassword(run) });
  if (stored) return { password: { kept: set.asAdmin ? 'PDS_KEPT_IT' : 'NO_ADMIN_RIGHTS' }, session: stored };
  const message = set.asAdmin
    ? 'The identity server takes neither the old nor the new password of the account. Operators must look at the account there.'
    : `The identity server does not accept the stored password. Only its operator can reset it: ${toHaveAdminRights(host.provider)}.`;
  throw new ProvisioningError('ACCOUNT_LOCKED', message, { retryable: set.asAdmin });
}

/** The session that a password opens, or why there is none although it is the right one; undefined when it is not. */
async function tryPassword(
  { pds }: AccountHost,
  credentials: Parameters<typeof openSession>[1],
): Promise<Access['session'] | undefined> {
  try {
    return await openSession(pds, credentials);
  } catch (error) {
    if (isRejection(error, 'AuthenticationRequired')) return undefined;
    // @NOTE `@atproto/pds`, account-manager.ts, `login`: it says so only to who has shown the right password.
    if (isRejection(error, 'AccountTakedown')) return { kept: 'ACCOUNT_TAKEN_DOWN' };
    throw error;
  }
}

/** The session alone, by the stored token or password. */
async function renewStored(run: Run): Promise<Access> {
  const { vault, identity } = run;
  const { pds_did: did } = reserved(run);
  const password = { kept: 'NO_ADMIN_RIGHTS' } as const;
  try {
    const host = await openAccountHost(run);
    run.host = host;
    const token = await openFromMapping(
      vault,
      identity,
      'pds_refresh_token',
      identity.pds_refresh_token ?? '',
    );
    const refreshJwt = Buffer.from(token).toString('utf8');
    const session = await renewSession(host.pds, { did, refreshJwt }).catch(async (error) => {
      if (!isRejection(error)) throw error;
      return tryPassword(host, { did, password: await accountPassword(run) });
    });
    return { password, session: session ?? { kept: 'PDS_REFUSES' } };
  } catch (error) {
    if (!(error instanceof XrpcError || error instanceof Parked)) throw error;
    if (run.host && error instanceof XrpcError) run.host.trouble = error;
    run.log.info('the session could not be renewed', { error });
    return { password, session: { kept: 'PDS_TROUBLE' } };
  }
}

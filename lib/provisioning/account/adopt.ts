import { notifyOperators } from '../../operators/notify.ts';
import { getAccountInfo, updateAccountPassword } from '../../pds/client/admin.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { openSession } from '../../pds/probes/session.ts';
import { toHaveAdminRights } from '../../pds/provider.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { type Run, reserved, type WorkerDeps } from '../run.ts';
import { openFromMapping } from '../secrets.ts';

/**
 * Looks whether an earlier attempt made the account, and signs in if so; undefined when there is none that we could
 * open. Changes nothing at the PDS but, with admin rights, a password that is not the stored one.
 */
export async function adoptAccount(run: Run, host: AccountHost): Promise<PdsSession | undefined> {
  const { pds_did } = reserved(run);
  const found = await withAdmin(run, host, (admin) => getAccountInfo(admin, pds_did));
  if (found.asAdmin) return found.result && signIn(run, host);
  try {
    return await openSession(host.pds, { did: pds_did, password: await accountPassword(run) });
  } catch (error) {
    if (isRejection(error, 'AuthenticationRequired')) return undefined;
    throw takenDownOr(error);
  }
}

/** A session for the account, with the stored password. Throws when the PDS does not accept it and we cannot reset it. */
export async function signIn(run: Run, host: AccountHost): Promise<PdsSession> {
  const credentials = { did: reserved(run).pds_did, password: await accountPassword(run) };
  try {
    return await openSession(host.pds, credentials);
  } catch (error) {
    if (!isRejection(error, 'AuthenticationRequired')) throw takenDownOr(error);
    const reset = await withAdmin(run, host, (admin) => updateAccountPassword(admin, credentials));
    if (reset.asAdmin) return openSession(host.pds, credentials);
    throw new ProvisioningError(
      'ACCOUNT_LOCKED',
      `The identity server does not accept the stored password. Only its operator can reset it: ${toHaveAdminRights(host.provider)}.`,
      { cause: error },
    );
  }
}

/** The session of this run: the one that it has, or a new one. */
export async function sessionOf(run: Run, host: AccountHost): Promise<PdsSession> {
  host.session ??= await signIn(run, host);
  return host.session;
}

/** The password that was sealed before anything remote happened; retries never change it. */
export async function accountPassword(run: Run): Promise<string> {
  const { vault, identity } = run;
  const { account_password_sealed } = reserved(run);
  const opened = await openFromMapping(vault, identity, 'account_password_sealed', account_password_sealed);
  return Buffer.from(opened).toString('utf8');
}

/** Asks as the PDS's admin, if we can; a PDS that refuses our admin password counts as one that gave us none. */
export async function withAdmin<T>(
  { sql, log, metrics }: Pick<WorkerDeps, 'sql' | 'log' | 'metrics'>,
  host: AccountHost,
  ask: (admin: NonNullable<AccountHost['admin']>) => Promise<T>,
): Promise<{ asAdmin: true; result: T } | { asAdmin: false }> {
  if (!host.admin) return { asAdmin: false };
  try {
    return { asAdmin: true, result: await ask(host.admin) };
  } catch (error) {
    if (!isRejection(error) || (error.status !== 401 && error.status !== 403)) throw error;
    host.admin = undefined;
    metrics.count('AdminPasswordRefused');
    log.error('the identity server refuses our admin password', { provider: host.provider.id, error });
    await notifyOperators(sql, { kind: 'admin_password_refused', subject: host.provider.id });
    return { asAdmin: false };
  }
}

function takenDownOr(error: unknown): unknown {
  if (!isRejection(error, 'AccountTakedown')) return error;
  return new ProvisioningError(
    'ACCOUNT_TAKEN_DOWN',
    'The identity server has taken this account down. Ask its operator about it.',
    { cause: error },
  );
}

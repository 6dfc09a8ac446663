import { notifyOperators } from '../../operators/notify.ts';
import { createInviteCode, deleteAccount } from '../../pds/client/admin.ts';
import { describeServer } from '../../pds/client/server.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { capabilitiesOf, toBeInvited, toHaveAdminRights } from '../../pds/provider.ts';
import { storeServiceDid } from '../../pds/providers.ts';
import type { XrpcError } from '../../pds/xrpc-error.ts';
import { takeNextHandle } from '../next-handle.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { type Run, reserved } from '../run.ts';
import { adoptAccount, withAdmin } from './adopt.ts';

/** What one attempt has given in on already; each is tried once, handles a few times. */
export type Concessions = {
  handles: number;
  inviteCode: string | undefined;
  askedServiceDid: boolean;
  clearedRemains: boolean;
};

export function newConcessions(): Concessions {
  return { handles: 0, inviteCode: undefined, askedServiceDid: false, clearedRemains: false };
}

/** As many handles one attempt tries. */
export const MOST_HANDLES = 12;
const HANDLE_REFUSED = ['InvalidHandle', 'HandleNotAvailable'];
/** @NOTE `@atproto/pds` gives no name to this one: createAccount.ts, "Handle already taken: …". */
const HANDLE_TAKEN = /^Handle already taken/;
/** @NOTE `@atproto/pds`, account-manager.ts: our name is not, or not yet, served to the outside. */
const HANDLE_UNRESOLVED = /did not resolve to DID/;

/** What a PDS has against a handle, if that is what it refuses: somebody has it, or it likes none such. */
export function handleRefusal({ error = '', detail = '' }: XrpcError): 'taken' | 'disliked' | undefined {
  if (HANDLE_TAKEN.test(detail)) return 'taken';
  return HANDLE_REFUSED.includes(error) ? 'disliked' : undefined;
}

/** Whether what a PDS refuses is a handle of ours that does not resolve for it. */
export function isUnresolved({ detail = '' }: XrpcError): boolean {
  return HANDLE_UNRESOLVED.test(detail);
}

/**
 * Gives the PDS what it wants, so that the call can be repeated; or throws what stands in the way, in words that a
 * person can act on. A rejected createAccount has done nothing. Returns a session if the account is there after all.
 */
export async function answerRejection(
  run: Run,
  host: AccountHost,
  error: XrpcError,
  given: Concessions,
): Promise<PdsSession | undefined> {
  const name = error.error ?? '';
  const refusal = handleRefusal(error);
  if (refusal) {
    given.handles += 1;
    // A name that the PDS itself does not like is not liked better with a number behind it.
    if (given.handles <= MOST_HANDLES) {
      await takeNextHandle(run, { generated: refusal === 'disliked' });
      return undefined;
    }
    throw handlesRefused(error);
  }
  if (name === 'AlreadyExists') return clearRemains(run, host, error, given);
  if (name === 'InvalidInviteCode') return findInvite(run, host, error, given);
  if (name === 'BadJwtAudience' && !given.askedServiceDid) {
    given.askedServiceDid = true;
    await storeServiceDid(run.sql, host.provider.id, null);
    host.state.service_did = null;
    return undefined;
  }
  if (isUnresolved(error) || error.status === 401) throw notReachable(error);
  throw accountRefused(error);
}

/**
 * The PDS holds something of this DID: an account after all, or the remains of a creation that broke off. Those are
 * deleted, which is safe because nothing is running any more: a first createAccount cannot meet another one, and
 * every later one has waited out the quarantine.
 */
async function clearRemains(
  run: Run,
  host: AccountHost,
  error: XrpcError,
  given: Concessions,
): Promise<PdsSession | undefined> {
  const session = await adoptAccount(run, host);
  if (session) return session;
  const { pds_did } = reserved(run);
  if (!given.clearedRemains) {
    given.clearedRemains = true;
    const deleted = await withAdmin(run, host, (admin) => deleteAccount(admin, pds_did));
    if (deleted.asAdmin) return undefined;
  }
  throw new ProvisioningError(
    'ACCOUNT_NOT_OURS_TO_OPEN',
    `The identity server holds remains of this account, and only its operator can clear them: ${toHaveAdminRights(host.provider)}.`,
    { cause: error },
  );
}

/** Finds an invite code for the next call. Throws NO_INVITE. */
export async function findInvite(
  run: Run,
  host: AccountHost,
  error: XrpcError,
  given: Concessions,
): Promise<undefined> {
  if (given.inviteCode === undefined) {
    const made = await withAdmin(run, host, (admin) => createInviteCode(admin, { uses: 1 }));
    if (made.asAdmin) {
      given.inviteCode = made.result;
      return undefined;
    }
  }
  return refuseUninvited(run, host, error);
}

/**
 * Throws before anything is tried that cannot succeed: at a provider that the settings no longer name, and at one that
 * wants an invitation when we have neither a code nor the admin password. Such a one is asked anew each time, because its
 * operator may open the door any time.
 */
export async function expectWelcome(run: Run, host: AccountHost): Promise<void> {
  if (!capabilitiesOf(host.provider).includes('create')) {
    throw new ProvisioningError(
      'PROVIDER_NOT_CONFIGURED',
      `The settings name no provider "${host.provider.id}" any more, and it has not made this account.`,
    );
  }
  if (host.provider.inviteCode !== undefined || host.admin) return;
  const { inviteCodeRequired } = await describeServer(host.pds);
  if (inviteCodeRequired) await refuseUninvited(run, host);
}

async function refuseUninvited(run: Run, { provider }: AccountHost, cause?: XrpcError): Promise<never> {
  await notifyOperators(run.sql, { kind: 'invite_needed', subject: provider.id });
  const uninvited =
    provider.inviteCode === undefined
      ? 'The identity server takes new accounts by invitation only.'
      : 'The identity server does not take our invite code any more.';
  throw new ProvisioningError('NO_INVITE', `${uninvited} Operators must ${toBeInvited(provider)}.`, {
    cause,
  });
}

/** Our names are served, but this PDS does not see them. */
export function notReachable(cause: XrpcError): ProvisioningError {
  return new ProvisioningError(
    'IDENTITY_NOT_REACHABLE',
    'The identity server cannot read our names yet. If it stays, operators must check DNS and TLS of PDS_DOMAIN.',
    { retryable: true, cause },
  );
}

/** The PDS takes none of the handles that we can offer. */
export function handlesRefused(cause: XrpcError): ProvisioningError {
  return new ProvisioningError(
    'HANDLES_REFUSED',
    'The identity server refused every handle. Operators must check PDS_DOMAIN.',
    { cause },
  );
}

/** The PDS refuses for a reason to which we have no answer. */
export function accountRefused(cause: XrpcError): ProvisioningError {
  return new ProvisioningError(
    'ACCOUNT_REFUSED',
    'The identity server refused the account. Operators can see why in the log.',
    { cause },
  );
}

import { base32 } from 'multiformats/bases/base32';
import type { Handle } from '../../brands.ts';
import { createPlcAccount } from '../../pds/client/accounts.ts';
import { describeServer } from '../../pds/client/server.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { accountPassword } from '../account/adopt.ts';
import { noteDeparture } from '../account/creation-outcome.ts';
import { updateIdentity } from '../identity.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { type Run, reserved } from '../run.ts';
import { ourRotationKey } from './directory.ts';

/** 75 random bits; a PDS gives out labels of 3 to 18 characters in its own domain. */
const LABEL_CHARACTERS = 15;
/** With the label before it no longer than a host name may be. */
const SERVICE_DOMAIN = /^\.[a-z0-9.-]{1,230}$/i;

/**
 * The handle under which the account is born, random, in a domain of this PDS: chosen once and stored before anything
 * leaves, because by it alone an account is found again of whose creation we never saw the end. `anew`: another one
 * instead. One in the domain of another PDS, at which nothing was made, is replaced.
 */
export async function keepServiceHandle(run: Run, host: AccountHost, { anew = false } = {}): Promise<Handle> {
  const { sql, identity, random } = run;
  const { availableUserDomains: domains } = await describeServer(host.pds);
  const kept = identity.service_handle;
  if (kept !== null && !anew && domains.some((domain) => kept.endsWith(domain))) return kept;
  const domain = domains.find((offered) => SERVICE_DOMAIN.test(offered));
  if (domain === undefined) {
    throw new ProvisioningError(
      'NO_SERVICE_DOMAIN',
      'The identity server gives out no handles of its own, under one of which a did:plc is born. Operators must set one there, or PDS_DID_METHOD=web.',
    );
  }
  const label = base32.baseEncode(random.bytes(10)).slice(0, LABEL_CHARACTERS);
  const handle = `m${label}${domain}` as Handle;
  await updateIdentity(sql, identity, { service_handle: handle });
  return handle;
}

/** Asks the PDS for a DID and its account. That the request is about to leave is stored before it does. */
export async function sendCreateAccount(
  run: Run,
  host: AccountHost,
  { handle, inviteCode = host.provider.inviteCode }: { handle: Handle; inviteCode?: string | undefined },
): Promise<PdsSession & { did: string }> {
  const { account_email: email } = reserved(run);
  const password = await accountPassword(run);
  await noteDeparture(run);
  return createPlcAccount(host.pds, {
    handle,
    email,
    password,
    inviteCode,
    recoveryKey: ourRotationKey(run),
  });
}

import { createAccount } from '../../pds/client/accounts.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { serviceJwt } from '../../pds/service-jwt.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { type Run, reserved } from '../run.ts';
import { openFromMapping } from '../secrets.ts';
import { accountPassword } from './adopt.ts';
import { noteDeparture } from './creation-outcome.ts';

const METHOD = 'com.atproto.server.createAccount';

/**
 * Asks the PDS for the account, signing with the bootstrap key that the DID document shows. The names are served
 * since `reserved` was committed. That the request is about to leave is stored before it does; an XrpcError is always
 * one of this request.
 */
export async function sendCreateAccount(
  run: Run,
  host: AccountHost,
  { aud, inviteCode = host.provider.inviteCode }: { aud: string; inviteCode?: string | undefined },
): Promise<PdsSession> {
  const { vault, identity, random, now } = run;
  const { pds_did: did, pds_handle: handle, account_email: email, bootstrap_key_sealed } = reserved(run);
  const password = await accountPassword(run);
  const privateKey = await openFromMapping(vault, identity, 'bootstrap_key_sealed', bootstrap_key_sealed);
  await noteDeparture(run);
  const jwt = serviceJwt({ now, randomBytes: random.bytes }, { iss: did, aud, lxm: METHOD, privateKey });
  privateKey.fill(0);
  return createAccount(host.pds, { did, handle, email, password, inviteCode, serviceJwt: jwt });
}

import { createAccount, type PdsSession } from '../pds/client.ts';
import { serviceJwt } from '../pds/service-jwt.ts';
import { accountPassword } from './adopt.ts';
import { LeaseLost, updateIdentity } from './identity.ts';
import type { AccountHost } from './provider-access.ts';
import { type Run, reserved } from './run.ts';
import { openFromMapping } from './secrets.ts';

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
  const { sql, vault, identity, random, now, times } = run;
  const { pds_did: did, pds_handle: handle, account_email: email, bootstrap_key_sealed } = reserved(run);
  const password = await accountPassword(run);
  const privateKey = await openFromMapping(vault, identity, 'bootstrap_key_sealed', bootstrap_key_sealed);
  const startedAt = now();
  await updateIdentity(sql, identity, { create_started_at: startedAt });
  // A worker that was frozen in between may wake up when another one has waited out the quarantine.
  if (now().getTime() - startedAt.getTime() > times.http * 1000) throw new LeaseLost();
  const jwt = serviceJwt({ now, randomBytes: random.bytes }, { iss: did, aud, lxm: METHOD, privateKey });
  privateKey.fill(0);
  return createAccount(host.pds, { did, handle, email, password, inviteCode, serviceJwt: jwt });
}

import type { Handle } from '../../brands.ts';
import { getRecommendedDidCredentials, updateHandle } from '../../pds/client/identity.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import { sessionOf } from '../../provisioning/account/adopt.ts';
import { handleRefusal, isUnresolved } from '../../provisioning/account/creation-rejected.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { readOwnLog } from '../../provisioning/plc/directory.ts';
import { type AccountHost, openAccountHost } from '../../provisioning/providers/provider-access.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { expectAccount } from '../changes/expect-account.ts';
import { hold } from '../changes/hold.ts';
import { waitToBeSeen } from './prove.ts';

/** @NOTE `@atproto/pds`, account-manager.ts, updateHandle: the document that it has just read names another handle. */
const DOCUMENT_UNSEEN = /^DID is not properly configured for handle/;

/**
 * Has the PDS call the account by this handle, and sees that it does; of a did:plc it signs that, and the log must say
 * so, too. When a request leaves is stored before: one whose answer gets lost may still be at work there. Whoever has done
 * it already is not asked again. Throws HANDLE_REFUSED when the PDS does not want to.
 */
export async function tellPds(run: Run, change: Change, handle: Handle): Promise<void> {
  await hold(run);
  await isNamed(run, handle);
  run.host ??= await openAccountHost(run);
  const { host } = run;
  await expectAccount(run, host);
  await hold(run);
  const { accessJwt } = await sessionOf(run, host);
  if (await isCalled(run, host, { accessJwt, handle })) return;
  await hold(run);
  await sendHandle(run, change, { host, accessJwt, handle });
  if (await isCalled(run, host, { accessJwt, handle })) return;
  throw new ProvisioningError(
    'HANDLE_NOT_CONFIRMED',
    'The identity server took the handle, but does not go by it. Try again; if it stays, operators must look at its log.',
    { retryable: true },
  );
}

async function sendHandle(
  run: Run,
  change: Change,
  { host, accessJwt, handle }: { host: AccountHost; accessJwt: string; handle: Handle },
): Promise<void> {
  const { sent_at: unanswered = null } = change.progress;
  const note = (sent_at: typeof unanswered) => advance(run.sql, run, change, { progress: { sent_at } });
  await note(run.now().toISOString());
  try {
    await updateHandle(host.pds, accessJwt, handle);
  } catch (error) {
    if (!isRejection(error)) throw error;
    await note(unanswered);
    if (isUnresolved(error) || DOCUMENT_UNSEEN.test(error.detail ?? ''))
      await waitToBeSeen(run, change, error);
    throw new ProvisioningError('HANDLE_REFUSED', REFUSALS[handleRefusal(error) ?? 'other'], {
      cause: error,
    });
  }
}

const REFUSALS = {
  taken: 'Another account at your identity server has this handle. Choose another one.',
  disliked: 'Your identity server does not allow this handle. Choose another one.',
  other: 'Your identity server refused the handle. Choose another one; if it refuses each, ask an operator.',
};

/** Both must say so, because the PDS writes the log of a did:plc first and its own table after it. */
async function isCalled(
  run: Run,
  host: AccountHost,
  { accessJwt, handle }: { accessJwt: string; handle: Handle },
): Promise<boolean> {
  await hold(run);
  const { alsoKnownAs } = await getRecommendedDidCredentials(host.pds, accessJwt);
  return (await isNamed(run, handle)) && alsoKnownAs[0] === `at://${handle}`;
}

/** Whether the document names this handle. What the log of a did:plc says by now, our row says from then on, too. */
export async function isNamed(run: Run, handle: Handle): Promise<boolean> {
  const { sql, identity } = run;
  if (identity.did_method === 'web') return identity.pds_handle === handle;
  const { data } = await readOwnLog(run);
  if (data.alsoKnownAs[0] !== `at://${handle}`) return false;
  if (identity.pds_handle !== handle) await updateIdentity(sql, identity, { pds_handle: handle });
  return true;
}

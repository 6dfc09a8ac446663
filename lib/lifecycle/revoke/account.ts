import { deactivateAccount } from '../../pds/client/accounts.ts';
import { checkDirectory } from '../../pds/plc/directory.ts';
import { sessionOf } from '../../provisioning/account/adopt.ts';
import { askDirectory } from '../../provisioning/plc/directory.ts';
import { openAccountHost } from '../../provisioning/providers/provider-access.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import type { Run } from '../../provisioning/run.ts';
import { askToActivate } from '../../provisioning/steps/activated.ts';
import { expectAccount } from '../changes/expect-account.ts';
import { hold } from '../changes/hold.ts';

/** How the PDS calls the account now. Throws what `expectAccount` throws. */
export async function look(run: Run) {
  await hold(run);
  run.host ??= await openAccountHost(run);
  return { host: run.host, ...(await expectAccount(run, run.host)) };
}

/** Stores when the request leaves that may take effect although its answer is never seen. */
type Departing = () => Promise<void>;
const unnoted: Departing = async () => {};

/** Has the PDS deactivate the account, and sees that it did. One that its member has deactivated there is left as it is. */
export async function deactivate(run: Run, departing = unnoted): Promise<void> {
  const { host, status } = await look(run);
  if (status === 'deactivated') return;
  await hold(run);
  const { accessJwt } = await sessionOf(run, host);
  await hold(run);
  await departing();
  await deactivateAccount(host.pds, accessJwt);
  if (!(await look(run)).active) return;
  throw new ProvisioningError(
    'ACCOUNT_NOT_DEACTIVATED',
    'The identity server does not deactivate the account. Try again; if it stays, operators must look at its log.',
    { retryable: true },
  );
}

/** Has the PDS activate the account, and sees that it did, and that the DID document which it reads is right. */
export async function activate(run: Run, departing = unnoted): Promise<void> {
  const { host } = await look(run);
  // While the directory is down, the PDS finds no document of a did:plc, and would be blamed for it.
  if (run.identity.did_method === 'plc') await askDirectory(run, checkDirectory);
  await hold(run);
  await sessionOf(run, host);
  await hold(run);
  await departing();
  await askToActivate(run, host);
}

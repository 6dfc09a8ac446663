import type { PdsSession } from '../../pds/client/sessions.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { adoptAccount } from '../account/adopt.ts';
import { sendCreateAccount } from '../account/create-account.ts';
import { adoptEarlier, sendOnce } from '../account/creation-outcome.ts';
import { answerRejection, expectWelcome, newConcessions } from '../account/creation-rejected.ts';
import { updateIdentity } from '../identity.ts';
import { takeBestHandle, takeNextHandle } from '../next-handle.ts';
import { type AccountHost, serviceDidOf } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { awaitTurn } from '../queue/waiting-line.ts';
import { type Run, stopInTime } from '../run.ts';

/**
 * reserved → account_created: the account exists at the PDS, deactivated, under the stored password.
 *
 * A createAccount whose end we did not see may still be running, and a second one beside it destroys the account
 * (two overlapping calls for one DID: the loser's clean-up deletes the winner's repo). So from the moment one leaves
 * until `create_started_at` + quarantine we only look, and adopt what we find.
 */
export async function createOrAdoptAccount(run: Run, host: AccountHost): Promise<void> {
  host.session = (await adoptEarlier(run, () => adoptAccount(run, host))) ?? (await create(run, host));
  await updateIdentity(run.sql, run.identity, { provisioning_step: 'account_created' });
}

async function create(run: Run, host: AccountHost): Promise<PdsSession> {
  await expectWelcome(run, host);
  const concessions = newConcessions();
  for (;;) {
    const aud = await serviceDidOf(run, host);
    stopInTime(run);
    await awaitTurn(run, host);
    try {
      const { inviteCode } = concessions;
      return await sendOnce(run, () => sendCreateAccount(run, host, { aud, inviteCode }));
    } catch (error) {
      if (error instanceof XrpcError && error.final && !isRejection(error)) {
        return await adoptOrGiveUp(run, host, error);
      }
      if (!isRejection(error)) throw error;
      const session = await answerRejection(run, host, error, concessions);
      if (session) return session;
    }
  }
}

/**
 * After an internal error of which the PDS itself tells us, the call is over there: what it left is what there is.
 * Often the handle is held by a deactivated account: a PDS answers 500 then and has no way to ask. One that is only
 * in trouble answers the same: so it is only the last attempt that is made under another name, and when that
 * fails, too, the name was not what was wrong, and the member has his own again.
 */
async function adoptOrGiveUp(run: Run, host: AccountHost, cause: XrpcError): Promise<PdsSession> {
  const { sql, identity, work } = run;
  const session = await adoptAccount(run, host);
  if (session) return session;
  await updateIdentity(sql, identity, { create_started_at: null });
  const attemptsLeft = work.maxAttempts - work.attemptCount - 1;
  if (attemptsLeft === 1) await takeNextHandle(run, { again: true });
  if (attemptsLeft <= 0) await takeBestHandle(run);
  throw new ProvisioningError(
    'ACCOUNT_CREATION_BROKE',
    'The identity server failed to create the account. Try again; if it stays, operators must look at its log.',
    { retryable: true, cause },
  );
}

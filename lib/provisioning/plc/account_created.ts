import type { Did } from '../../brands.ts';
import { giveHandleDid } from '../../identity/hostnames.ts';
import { didKeyToMultikey } from '../../identity/multikey.ts';
import { isDidPlc } from '../../identity/plc/operation.ts';
import { resolveHandle } from '../../pds/client/identity.ts';
import { checkDirectory } from '../../pds/plc/directory.ts';
import { readPlcLog } from '../../pds/plc/read-log.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { adoptEarlier, sendOnce } from '../account/creation-outcome.ts';
import {
  accountRefused,
  type Concessions,
  expectWelcome,
  findInvite,
  handleRefusal,
  MOST_HANDLES,
  newConcessions,
} from '../account/creation-rejected.ts';
import { updateIdentity } from '../identity.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { awaitTurn } from '../queue/waiting-line.ts';
import { type Run, reserved, stopInTime } from '../run.ts';
import { keepServiceHandle, sendCreateAccount } from './create-account.ts';
import { askDirectory, ourRotationKey } from './directory.ts';

/**
 * reserved → account_created, of a did:plc: the PDS has made a DID and an account, active, under the stored password
 * and a handle of its own; from now on we know the DID, and our handle stands for it.
 *
 * A createAccount whose end we did not see may still be running, and another one would make a second DID: so until the
 * quarantine is over we only look whether its handle has an account. One that comes too late burns its DID, and no more:
 * handle and address are taken by then.
 */
export async function createOrAdoptPlcAccount(run: Run, host: AccountHost): Promise<void> {
  const earlier = await adoptEarlier(run, () => findAccount(run, host));
  if (earlier === undefined) await forgetEarlier(run);
  await keepDid(run, earlier ?? (await create(run, host)));
}

/** What was sent before has made nothing and is over: should this PDS not make the next one, another may. */
async function forgetEarlier({ sql, identity }: Run): Promise<void> {
  if (identity.create_started_at === null) return;
  await updateIdentity(sql, identity, { create_started_at: null });
}

/** The DID of an account with the handle that an earlier call asked for. */
async function findAccount({ identity }: Run, { pds }: AccountHost): Promise<string | undefined> {
  return identity.service_handle === null ? undefined : resolveHandle(pds, identity.service_handle);
}

async function create(run: Run, host: AccountHost): Promise<string> {
  await expectWelcome(run, host);
  const given = newConcessions();
  for (let anew = false; ; ) {
    stopInTime(run);
    // Without it no PDS can make a DID, and what it would be blamed for is not its fault.
    await askDirectory(run, checkDirectory);
    await awaitTurn(run, host);
    const handle = await keepServiceHandle(run, host, { anew });
    const { inviteCode } = given;
    try {
      const { did, ...session } = await sendOnce(run, () =>
        sendCreateAccount(run, host, { handle, inviteCode }),
      );
      host.session = session;
      return did;
    } catch (error) {
      if (!(error instanceof XrpcError && error.final)) throw error;
      const found = await findAccount(run, host);
      if (found !== undefined) return found;
      if (!isRejection(error)) throw await brokenOff(run, error);
      anew = await answerRejection(run, host, error, given);
    }
  }
}

/** Gives the PDS what it wants, or throws what stands in the way. True when it takes another handle. */
async function answerRejection(
  run: Run,
  host: AccountHost,
  error: XrpcError,
  given: Concessions,
): Promise<boolean> {
  if (error.error === 'InvalidInviteCode') {
    await findInvite(run, host, error, given);
    return false;
  }
  given.handles += 1;
  if (handleRefusal(error) && given.handles <= MOST_HANDLES) return true;
  throw accountRefused(error);
}

/**
 * After an internal error of which the PDS itself tells us, the call is over there, and it left no account; a DID that it
 * made meanwhile is burnt. Mostly it is the PLC directory that did not answer it: then the member waits for that.
 */
async function brokenOff(run: Run, cause: XrpcError): Promise<ProvisioningError> {
  await updateIdentity(run.sql, run.identity, { create_started_at: null });
  await askDirectory(run, checkDirectory);
  return new ProvisioningError(
    'ACCOUNT_CREATION_BROKE',
    'The identity server failed to create the account. Try again; if it stays, operators must look at its log.',
    { retryable: true, cause },
  );
}

/** Stores the DID that the PDS names, once its log shows that it was made with our rotation key, which nobody else has. */
async function keepDid(run: Run, did: string): Promise<void> {
  const { sql, identity } = run;
  const { pds_handle: handle, user_id: userId } = reserved(run);
  if (!isDidPlc(did)) throw notOurs();
  const { data } = await askDirectory(run, (directory) => readPlcLog(directory, did));
  const atprotoKey = data?.verificationMethods.atproto;
  if (atprotoKey === undefined || !data?.rotationKeys.includes(ourRotationKey(run))) throw notOurs();
  const publicKey = didKeyToMultikey(atprotoKey);
  await sql.begin(async (tx) => {
    await updateIdentity(tx, identity, {
      pds_did: did as Did,
      atproto_public_key: publicKey,
      provisioning_step: 'account_created',
    });
    await giveHandleDid(tx, { userId, did: did as Did, handle });
  });
}

function notOurs(): ProvisioningError {
  return new ProvisioningError(
    'DID_NOT_OURS',
    'The identity server named a DID that was not made for you. Try again; if it stays, operators must look at its log.',
    { retryable: true },
  );
}

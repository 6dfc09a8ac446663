import { createAccount, deactivateAccount } from '../../pds/client/accounts.ts';
import { getServiceAuth, readHoldings } from '../../pds/client/migration.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { openSession } from '../../pds/probes/session.ts';
import { storeServiceDid } from '../../pds/providers.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { accountPassword } from '../../provisioning/account/adopt.ts';
import { adoptEarlier, noteDeparture, sendOnce } from '../../provisioning/account/creation-outcome.ts';
import {
  accountRefused,
  type Concessions,
  expectWelcome,
  findInvite,
  handleRefusal,
  isUnresolved,
  newConcessions,
  notReachable,
} from '../../provisioning/account/creation-rejected.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { serviceDidOf } from '../../provisioning/providers/provider-access.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { awaitTurn } from '../../provisioning/queue/waiting-line.ts';
import { reserved } from '../../provisioning/run.ts';
import { hold } from '../changes/hold.ts';
import { stepDone } from './progress.ts';
import { audienceOf, type Move, ownerAt, turnTo } from './stations.ts';

const CREATE = 'com.atproto.server.createAccount';

/**
 * prepared → account_created: there is an account of this DID at the new PDS, deactivated, under the password that was
 * sealed for it. What an earlier attempt made there, whose end nobody saw, is found again by that password alone: what it
 * does not open was not made by us, and is not touched.
 */
export async function createOrAdopt(move: Move): Promise<void> {
  const { run, change, target } = move;
  await turnTo(run, target.host);
  await hold(run);
  const session =
    (await adoptEarlier(target.run, () => openOurs(move))) ?? (await create(move, newConcessions()));
  expectOwnName(move, session);
  target.host.session = session;
  const owner = await ownerAt(run, target);
  // Of two accounts one is active at the most, from the first moment on.
  if ((await readHoldings(owner)).activated) await deactivateAccount(owner.pds, owner.accessJwt);
  await stepDone(run, change, 'account_created');
}

async function openOurs({ did, target }: Move): Promise<PdsSession | undefined> {
  try {
    return await openSession(target.host.pds, { did, password: await accountPassword(target.run) });
  } catch (error) {
    if (isRejection(error, 'AuthenticationRequired')) return undefined;
    throw error;
  }
}

async function create(move: Move, given: Concessions): Promise<PdsSession> {
  const { run, target } = move;
  await expectWelcome(target.run, target.host);
  for (;;) {
    const aud = await serviceDidOf(target.run, target.host);
    // The old PDS signs with the key that the DID shows, which it alone holds.
    const serviceJwt = await getServiceAuth(await ownerAt(run, move.source), { aud, lxm: CREATE });
    await turnTo(run, target.host);
    await hold(run);
    await awaitTurn(target.run, target.host);
    try {
      return await sendOnce(target.run, () => send(move, serviceJwt, given));
    } catch (error) {
      if (!(error instanceof XrpcError && error.final)) throw error;
      const ours = await openOurs(move);
      if (ours) return ours;
      if (!isRejection(error)) throw await brokenOff(move, error);
      await answerRejection(move, error, given);
    }
  }
}

async function send({ did, target }: Move, serviceJwt: string, { inviteCode }: Concessions) {
  const { run, host } = target;
  const { pds_handle: handle, account_email: email } = reserved(run);
  const password = await accountPassword(run);
  await noteDeparture(run);
  return createAccount(host.pds, {
    did,
    handle,
    email,
    password,
    inviteCode: inviteCode ?? host.provider.inviteCode,
    serviceJwt,
  });
}

/** Gives the PDS what it wants, or throws what stands in the way. */
async function answerRejection(move: Move, error: XrpcError, given: Concessions): Promise<void> {
  const { run, host } = move.target;
  if (error.error === 'InvalidInviteCode') return findInvite(run, host, error, given);
  if (error.error === 'BadJwtAudience') {
    if (given.askedServiceDid) throw lies(error);
    given.askedServiceDid = true;
    await storeServiceDid(run.sql, host.provider.id, null);
    host.state.service_did = null;
    return;
  }
  if (error.error === 'AlreadyExists') {
    throw new ProvisioningError(
      'MOVE_ACCOUNT_FOREIGN',
      'The PDS that you are moving to has an account of your DID already, which we have not made. Ask its operator to remove it, or choose another PDS.',
      { cause: error },
    );
  }
  if (isUnresolved(error) || error.status === 401) throw notReachable(error);
  if (handleRefusal(error)) {
    throw new ProvisioningError(
      'MOVE_HANDLE_REFUSED',
      'The PDS that you are moving to does not take your handle. Choose another PDS, or change your handle first.',
      { cause: error },
    );
  }
  throw accountRefused(error);
}

/** After an internal error of which the PDS itself tells us, the call is over there, and left no account of ours. */
async function brokenOff({ target }: Move, cause: XrpcError): Promise<ProvisioningError> {
  await updateIdentity(target.run.sql, target.run.identity, { create_started_at: null });
  return new ProvisioningError(
    'ACCOUNT_CREATION_BROKE',
    'The PDS that you are moving to failed to create the account. Try again; if it stays, its operator must look at its log.',
    { retryable: true, cause },
  );
}

/** What it calls itself when it is asked, and in the tokens that it writes, must be one and the same. */
function expectOwnName({ target }: Move, session: PdsSession): void {
  const named = audienceOf(session);
  const asked = target.host.state.service_did;
  if (named !== undefined && asked !== null && named !== asked) throw lies();
}

function lies(cause?: XrpcError): ProvisioningError {
  return new ProvisioningError(
    'MOVE_TARGET_LIES',
    'The PDS that you are moving to gives itself two different DIDs, so it is not what it says. Its operator must correct its settings; choose another one until then.',
    { cause },
  );
}

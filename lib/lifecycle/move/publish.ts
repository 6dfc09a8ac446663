import { appendAudit } from '../../audit/append.ts';
import type { Transaction } from '../../db/connect.ts';
import { getRecommendedDidCredentials, type RecommendedCredentials } from '../../pds/client/identity.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { accountPassword, sessionOf } from '../../provisioning/account/adopt.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { sealLeft, writeDown } from '../../provisioning/orphans/left.ts';
import { reserved } from '../../provisioning/run.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import {
  expectItsOwnAddress,
  repoMultikey,
  SETTLING_MS,
} from '../../provisioning/steps/identity_published.ts';
import { advance } from '../changes/advance.ts';
import { backUpCredentials } from '../custody/backup.ts';
import { type OwnCredentials, openPrivateKey } from '../custody/bundle.ts';
import { sealForNextVersion } from '../custody/replace.ts';
import { expectNotCancelled } from './cancelled.ts';
import { bothHoldings, sameRepo } from './carry-over.ts';
import { notFrozen } from './freeze.ts';
import { needsSource, stepDone } from './progress.ts';
import { publishInDirectory } from './publish-plc.ts';
import { type Move, ownerAt, turnTo } from './stations.ts';

/** How long the account that he has moved away from stays, deactivated, for whoever wants to look back. */
export const LOOK_BACK_MS = 30 * 24 * 3600_000;

/** So often what was carried over may have changed once more. */
const MOST_TIMES = 5;

/**
 * carried_over → published: the DID document names the new PDS and its repo key. In the transaction that makes it so the
 * member's row does, too, with the credentials of the new account, and the old account is written down with its own.
 * From then on there is only the way forward.
 */
export async function publish(move: Move): Promise<void> {
  const { run, change, target } = move;
  const { did_method } = run.identity;
  if (needsSource(change) && !(await isCarriedOver(move))) return beginAgain(move);
  const owner = await ownerAt(run, target);
  const recommended = await getRecommendedDidCredentials(owner.pds, owner.accessJwt);
  const atprotoKey = repoMultikey(recommended.repoKey);
  await expectItsOwnAddress(target.run, target.host, recommended.endpoint);
  const session = await sessionOf(target.run, target.host);
  const { sql } = run;
  // All that can fail without the directory, before it.
  const sealed = await sealAll(move, session);
  const left = await sealLeft(run, run.now());
  if (did_method === 'plc') await publishInDirectory(move, recommended);
  const before = { identity: { ...run.identity }, change: { ...change } };
  const arrived = sql.begin(async (tx) => {
    if (did_method === 'web') await expectNotCancelled(tx, change);
    await backUpCredentials({ tx, vault: run.vault }, run.identity.user_id, 'recovery');
    const movedAt = run.now();
    await writeDown(tx, left, { movedAt, lookAt: new Date(movedAt.getTime() + LOOK_BACK_MS) });
    await moveIn(tx, move, { recommended, atprotoKey, sealed });
    await advance(tx, run, change, { step: 'published', progress: { stuck_since: null } });
  });
  await arrived.catch((error) => {
    // As far as this run knows, nothing of it holds; what was stored after all, take-back.ts reads.
    Object.assign(run.identity, before.identity);
    Object.assign(change, before.change);
    throw error;
  });
  // The new PDS is the one of this run from now on.
  await turnTo(run, target.host);
}

async function isCarriedOver(move: Move): Promise<boolean> {
  const [there, here] = await bothHoldings(move);
  return !here.activated && !there.activated && sameRepo(there, here);
}

/** Somebody has activated the old account again, or what was sent before came late: that is carried over first. */
async function beginAgain({ run, change }: Move): Promise<void> {
  const times = Number(change.progress.begun_again ?? 0) + 1;
  if (times > MOST_TIMES) throw notFrozen();
  await stepDone(run, change, 'blobs_complete', { begun_again: times });
}

/** What makes up the identity, sealed for its next version. Before the transaction: see `sealForNextVersion`. */
async function sealAll({ run, target }: Move, session: PdsSession) {
  const { vault, identity } = run;
  const { data_key_id } = reserved(run);
  const own = identity as typeof identity & OwnCredentials;
  const rotationKey =
    identity.rotation_key_sealed === null
      ? undefined
      : await openFromMapping(vault, identity, 'rotation_key_sealed', identity.rotation_key_sealed);
  const member = { user_id: identity.user_id, data_key_id, credential_version: identity.credential_version };
  return sealForNextVersion(vault, member, {
    publicKey: own.pds_public_key,
    privateKey: Buffer.from(await openPrivateKey(vault, own), 'base64url'),
    rotationKey,
    password: await accountPassword(target.run),
    session,
  });
}

type Arrival = {
  recommended: RecommendedCredentials;
  atprotoKey: string;
  sealed: Awaited<ReturnType<typeof sealForNextVersion>>;
};

async function moveIn(tx: Transaction, { run, change, target }: Move, arrival: Arrival): Promise<void> {
  const { identity, now } = run;
  const { user_id: userId, pnptv_uuid: pnptvUuid, credential_version, provider_id: from } = identity;
  const { recommended, atprotoKey, sealed } = arrival;
  await updateIdentity(tx, identity, {
    ...sealed,
    provider_id: target.host.provider.id,
    pds_endpoint: recommended.endpoint,
    atproto_public_key: atprotoKey,
    document_settles_at: new Date(now().getTime() + SETTLING_MS),
    credential_version: credential_version + 1,
    credentials_checked_at: now(),
    create_started_at: null,
  });
  await run.backUp(tx, userId);
  await appendAudit(tx, {
    userId,
    pnptvUuid,
    action: 'moved',
    status: 'pending',
    details: { change_id: change.id, from, to: target.host.provider.id, pds_endpoint: recommended.endpoint },
    createdBy: change.requested_by,
  });
}

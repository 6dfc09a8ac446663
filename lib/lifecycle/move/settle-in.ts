import { appendAudit } from '../../audit/append.ts';
import type { Transaction } from '../../db/connect.ts';
import { getRecommendedDidCredentials, type RecommendedCredentials } from '../../pds/client/identity.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { accountPassword, sessionOf } from '../../provisioning/account/adopt.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import {
  expectItsOwnAddress,
  repoMultikey,
  SETTLING_MS,
} from '../../provisioning/steps/identity_published.ts';
import type { Change } from '../changes/change.ts';
import { backUpCredentials } from '../custody/backup.ts';
import { type OwnCredentials, openPrivateKey } from '../custody/bundle.ts';
import { sealForNextVersion } from '../custody/replace.ts';
import { ownerAt, type Station, turnTo } from './stations.ts';

/** What the document and the row are to say of one end. */
export type Arrival = {
  recommended: RecommendedCredentials;
  atprotoKey: string;
  sealed: Awaited<ReturnType<typeof sealForNextVersion>>;
};

/** Reads it at the end where he is to live, and seals it: all that can fail without the directory, before that is asked. */
export async function readArrival(run: Run, end: Station): Promise<Arrival> {
  const owner = await ownerAt(run, end);
  const recommended = await getRecommendedDidCredentials(owner.pds, owner.accessJwt);
  const atprotoKey = repoMultikey(recommended.repoKey);
  await expectItsOwnAddress(end.run, end.host, recommended.endpoint);
  const sealed = await sealAll(run, end, await sessionOf(end.run, end.host));
  return { recommended, atprotoKey, sealed };
}

/** What makes up the identity, sealed for its next version: see `sealForNextVersion`. */
async function sealAll(run: Run, end: Station, session: PdsSession) {
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
    password: await accountPassword(end.run),
    session,
  });
}

/**
 * Has the member live at this end, in one transaction: his row, and with it a did:web's document, names it, with the
 * credentials of the account there. What was before is backed up, and so is what is now. `also` happens with it.
 */
export async function settleIn(
  run: Run,
  change: Change,
  { end, arrival }: { end: Station; arrival: Arrival },
  also: (tx: Transaction) => Promise<void>,
): Promise<void> {
  const before = { identity: { ...run.identity }, change: { ...change } };
  const arrived = run.sql.begin(async (tx) => {
    await backUpCredentials({ tx, vault: run.vault }, run.identity.user_id, 'recovery');
    await moveIn(tx, run, change, { end, arrival });
    await also(tx);
  });
  await arrived.catch((error) => {
    // As far as this run knows, nothing of it holds; what was stored after all, the next one reads.
    Object.assign(run.identity, before.identity);
    Object.assign(change, before.change);
    throw error;
  });
  // That PDS is the one of this run from now on.
  await turnTo(run, end.host);
}

async function moveIn(
  tx: Transaction,
  run: Run,
  change: Change,
  { end, arrival }: { end: Station; arrival: Arrival },
): Promise<void> {
  const { identity, now } = run;
  const { user_id: userId, pnptv_uuid: pnptvUuid, credential_version, provider_id: from } = identity;
  const { recommended, atprotoKey, sealed } = arrival;
  const to = end.host.provider.id;
  await updateIdentity(tx, identity, {
    ...sealed,
    provider_id: to,
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
    details: { change_id: change.id, from, to, pds_endpoint: recommended.endpoint },
    createdBy: change.requested_by,
  });
}

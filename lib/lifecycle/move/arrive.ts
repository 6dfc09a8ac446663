import { tellMember } from '../../auth/bot/tell-member.ts';
import { activateAccount } from '../../pds/client/accounts.ts';
import { getRecommendedDidCredentials, updateHandle } from '../../pds/client/identity.ts';
import { deleteRecord, putRecord, readHoldings } from '../../pds/client/migration.ts';
import { isRejection, type XrpcError } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { stepDone } from './progress.ts';
import { type Owner, openEnd, ownerAt, type Station } from './stations.ts';

/** Of no known lexicon: apps leave it alone. */
const COLLECTION = 'app.pnptv.identity.moved';
const RKEY = 'self';

/** published → activated: the new PDS finds itself in the DID document, and its account is the one that counts. */
export async function activate(run: Run, change: Change): Promise<void> {
  const station = await newHome(run);
  const owner = await ownerAt(run, station);
  let refused: XrpcError | undefined;
  try {
    await activateAccount(owner.pds, owner.accessJwt);
  } catch (error) {
    if (!isRejection(error)) throw error;
    refused = error;
  }
  const { activated, validDid } = await readHoldings(await ownerAt(run, station));
  if (!activated || !validDid) {
    throw new ProvisioningError(
      'MOVE_NOT_ACTIVATED',
      'The new PDS does not activate your account yet, though your DID leads there. It is tried again until it does.',
      { retryable: true, cause: refused },
    );
  }
  await giveHandle(run, station);
  await stepDone(run, change, 'activated');
}

/** Who came back to an old account finds there the handle that he had then. */
async function giveHandle(run: Run, station: Station): Promise<void> {
  const { pds_handle } = reserved(run);
  const owner = await ownerAt(run, station);
  const { alsoKnownAs } = await getRecommendedDidCredentials(owner.pds, owner.accessJwt);
  if (alsoKnownAs[0] !== `at://${pds_handle}`) await updateHandle(owner.pds, owner.accessJwt, pds_handle);
}

/**
 * activated → written: importing signs nothing, so the newest commit is still the old PDS's, which nobody can verify any
 * more. One record that comes and goes leaves a commit that the new key has signed, and nothing else.
 */
export async function write(run: Run, change: Change): Promise<void> {
  const station = await newHome(run);
  const key = { repo: reserved(run).pds_did, collection: COLLECTION, rkey: RKEY };
  const owner: Owner = await ownerAt(run, station);
  await putRecord(owner, { ...key, record: { createdAt: run.now().toISOString() } });
  await deleteRecord(await ownerAt(run, station), key);
  await stepDone(run, change, 'written');
}

/** written → over: the member is told, and his identity is checked. */
export async function endMove(run: Run, change: Change): Promise<void> {
  const { sql, identity, now } = run;
  const { user_id: userId, pds_endpoint, provider_id: to } = reserved(run);
  const { from = null, records = null, blobs_lost = [], preferences = null } = change.progress;
  await sql.begin(async (tx) => {
    await enqueue(tx, { userId, action: 'verify', now: now() });
    await tellMember(tx, userId, 'moved');
    const details = { from, to, pds_endpoint, records, preferences, blobs_lost };
    await endChange(
      tx,
      { work: run.work, identity },
      change,
      { outcome: 'done' },
      { action: 'moved', details },
    );
  });
}

/** The PDS where he lives now: that of his row, as for everything that is no move. */
async function newHome(run: Run): Promise<Station> {
  const { host } = run;
  const isOpen = host?.provider.id === run.identity.provider_id;
  return { run, host: isOpen && host ? host : await openEnd(run, run) };
}

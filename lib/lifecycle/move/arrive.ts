import { tellMember } from '../../auth/bot/tell-member.ts';
import { activateAccount } from '../../pds/client/accounts.ts';
import { getRecommendedDidCredentials, updateHandle } from '../../pds/client/identity.ts';
import { deleteRecord, putRecord, readHoldings } from '../../pds/client/migration.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { LeaseLost } from '../../provisioning/identity.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { advance, endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { Cancelled, isWantedHome } from './cancelled.ts';
import { ACTIVATING, stepDone } from './progress.ts';
import { type Owner, openEnd, ownerAt, type Station } from './stations.ts';

/** Of no known lexicon: apps leave it alone. */
const COLLECTION = 'app.pnptv.identity.moved';
const RKEY = 'self';

/**
 * published → activated: the new PDS finds itself in the DID document, and its account is the one that counts. That it is
 * asked to is stored before. Throws Cancelled as long as there is a way home.
 */
export async function activate(run: Run, change: Change): Promise<void> {
  const station = await newHome(run);
  const owner = await ownerAt(run, station);
  await noteAsked(run, change);
  const refused = await activateAccount(owner.pds, owner.accessJwt).then(
    () => undefined,
    (error) => (isFinal(error) ? error : Promise.reject(error)),
  );
  await advance(run.sql, run, change, { progress: { [ACTIVATING]: null } });
  if (refused && !isRejection(refused)) throw refused;
  const { activated, validDid } = await readHoldings(await ownerAt(run, station));
  if (!activated || !validDid) {
    throw new ProvisioningError(
      'MOVE_NOT_ACTIVATED',
      'The new PDS does not activate your account, though your DID leads there. It is tried again.',
      { retryable: true, cause: refused },
    );
  }
  await giveHandle(run, station);
  await run.sql.begin(async (tx) => {
    if (await isWantedHome(tx, change)) throw new Cancelled('wanted home');
    await advance(tx, run, change, { step: 'activated', progress: { stuck_since: null } });
  });
}

/** A worker that was frozen after it is too late: another one may have waited out what it sends. */
async function noteAsked(run: Run, change: Change): Promise<void> {
  const at = run.now();
  await run.sql.begin(async (tx) => {
    if (await isWantedHome(tx, change)) throw new Cancelled('wanted home');
    await advance(tx, run, change, { progress: { [ACTIVATING]: at.toISOString() } });
  });
  if (run.now().getTime() - at.getTime() > run.times.http * 1000) throw new LeaseLost();
}

function isFinal(error: unknown): error is XrpcError {
  return error instanceof XrpcError && error.final;
}

/** Who came back to an old account finds there the handle that he had then. */
export async function giveHandle(run: Run, station: Station): Promise<void> {
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
      { outcome: 'done', identity: { document_settles_at: new Date(now().getTime() + SETTLING_MS) } },
      { action: 'moved', details },
    );
  });
}

/** The PDS where he lives now: that of his row, as for everything that is no move. */
export async function newHome(run: Run): Promise<Station> {
  const { host } = run;
  const isOpen = host?.provider.id === run.identity.provider_id;
  return { run, host: isOpen && host ? host : await openEnd(run, run) };
}

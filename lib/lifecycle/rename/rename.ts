import { tellMember } from '../../auth/bot/tell-member.ts';
import { giveUpHandle, takeHandle } from '../../identity/change-handle.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { advance, endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { orTakeBack } from '../changes/or-take-back.ts';
import type { Perform } from '../changes/perform.ts';
import { namesOf } from './names.ts';
import { proveDocument, proveName, SEEN } from './prove.ts';
import { takeBack } from './take-back.ts';
import { tellPds } from './tell-pds.ts';
import { readHandle } from './wish.ts';

/**
 * Gives a member another handle: taken → resolves → published → done. At every moment his old name or the new one leads
 * to his DID. The PDS hears of the new one when the world sees it, and the old one is given up when the PDS goes by the
 * new one. What cannot be done is taken back: then everything is as it was.
 */
export const rename: Perform = async (run, change) => {
  if (change.step === 'taking_back') return takeBack(run, change);
  await orTakeBack(
    run,
    change,
    () => goOn(run, change),
    async (reason) => {
      await advance(run.sql, run, change, { step: 'taking_back', progress: { reason, ...SEEN } });
      await takeBack(run, change);
    },
  );
};

async function goOn(run: Run, change: Change): Promise<void> {
  if (change.step === 'requested') await takeName(run, change);
  if (change.step === 'taken') {
    await proveName(run, change);
    await advance(run.sql, run, change, { step: 'resolves', progress: SEEN });
  }
  if (change.step === 'resolves') await publish(run, change);
  await proveDocument(run, change);
  await tellPds(run, change, namesOf(change).to);
  await conclude(run, change);
}

/** requested → taken: from the commit on the new name leads to the DID, and nothing that we serve of it is kept. */
async function takeName(run: Run, change: Change): Promise<void> {
  const { sql, identity, naming } = run;
  const { pds_did: did, pds_handle: from, user_id: userId } = reserved(run);
  const handle = readHandle(String(change.wish.handle), naming);
  await sql.begin(async (tx) => {
    const taken = await takeHandle(tx, { userId, did, handle });
    if (!taken) {
      throw new ProvisioningError(
        'HANDLE_TAKEN',
        'Somebody else has this handle by now. Choose another one.',
      );
    }
    await updateIdentity(tx, identity, { document_settles_at: null });
    await advance(tx, run, change, { step: 'taken', progress: { from, before: taken.before } });
  });
}

/** resolves → published: our document names the new handle. That of a did:plc the PDS writes itself. */
async function publish(run: Run, change: Change): Promise<void> {
  const { sql, identity } = run;
  await sql.begin(async (tx) => {
    if (identity.did_method === 'web') await updateIdentity(tx, identity, { pds_handle: namesOf(change).to });
    await advance(tx, run, change, { step: 'published', progress: SEEN });
  });
}

/** published → done: the old name is given up. */
async function conclude(run: Run, change: Change): Promise<void> {
  const { sql, now, naming } = run;
  const { user_id: userId, pds_did: did } = reserved(run);
  const { from, to } = namesOf(change);
  const at = now();
  run.followUp = await sql.begin(async (tx) => {
    const kept = { userId, did, handle: from, now: at, graceDays: naming.handleGraceDays };
    const { servedUntil } = await giveUpHandle(tx, kept);
    const { queueId } = await enqueue(tx, { userId, action: 'verify', now: at });
    const identity = { pds_handle: to, document_settles_at: new Date(at.getTime() + SETTLING_MS) };
    const details = { change: 'handle', before: from, after: to, before_answers_until: servedUntil };
    await endChange(tx, run, change, { outcome: 'done', identity }, { action: 'updated', details });
    await tellMember(tx, userId, 'renamed');
    return queueId;
  });
}

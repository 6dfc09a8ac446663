import { probeDocument, probeHandle } from '../../pds/probes/outside.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { namesOf } from './names.ts';

/** What the world does not see by then, it will not see: a document is kept for a minute at the most. */
const PATIENCE_MS = 10 * 60_000;
/** A PDS takes 10 changes of a handle in five minutes. */
const PAUSE_MS = 30_000;
/** What a step leaves behind: the patience of the next one begins anew. */
export const SEEN = { unseen_since: null };

/** Proves that the new name leads the world to the member's DID. Throws what {@link waitToBeSeen} throws. */
export async function proveName(run: Run, change: Change): Promise<void> {
  await hold(run);
  const { pds_did } = reserved(run);
  const seen = await probeHandle(run.outside, { pds_did, pds_handle: namesOf(change).to });
  if (seen.status !== 'success') await waitToBeSeen(run, change);
}

/** Proves that the document of a did:web names the new name to the world; that of a did:plc is not written yet. */
export async function proveDocument(run: Run, change: Change): Promise<void> {
  const { pds_did, pds_endpoint, atproto_public_key, did_method } = reserved(run);
  if (did_method !== 'web') return;
  await hold(run);
  const identity = {
    pds_did,
    pds_handle: namesOf(change).to,
    pds_endpoint: pds_endpoint ?? '',
    atproto_public_key,
  };
  const seen = await probeDocument(run.outside, identity);
  if (seen.status !== 'success') await waitToBeSeen(run, change);
}

/**
 * What we serve is not seen yet, by us or by the PDS. Throws Parked, and once that has lasted for {@link PATIENCE_MS} the
 * final HANDLE_NOT_SEEN.
 */
export async function waitToBeSeen(run: Run, change: Change, cause?: unknown): Promise<never> {
  const at = run.now();
  const since = change.progress.unseen_since ?? at.toISOString();
  if (at.getTime() - Date.parse(String(since)) > PATIENCE_MS) {
    throw new ProvisioningError(
      'HANDLE_NOT_SEEN',
      'The new handle does not lead to your DID for everybody. Try again later; if it stays, operators must check DNS, TLS and caches of PDS_DOMAIN.',
      { cause },
    );
  }
  await advance(run.sql, run, change, { progress: { unseen_since: since } });
  throw new Parked('not_seen_yet', new Date(at.getTime() + PAUSE_MS));
}

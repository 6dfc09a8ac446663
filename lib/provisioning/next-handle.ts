import type { Handle } from '../brands.ts';
import { handleCandidates } from '../identity/handle.ts';
import { replaceHandleHostname } from '../identity/hostnames.ts';
import { updateIdentity } from './identity.ts';
import { ProvisioningError } from './provisioning-error.ts';
import { type Run, reserved } from './run.ts';

const MOST_CANDIDATES = 50;

/**
 * Gives the member the next free handle in place of one that the PDS refused; the DID and the secrets stay.
 * `generated`: leave the member's own name aside. `again`: a name that he had before may be taken again.
 * Throws retryable NO_HANDLE_FREE.
 */
export function takeNextHandle(run: Run, { generated = false, again = false } = {}): Promise<void> {
  return replaceHandle(run, { generated, again, isFine: () => false });
}

/** Gives the member the best handle back that he has had. */
export function takeBestHandle(run: Run): Promise<void> {
  const { pds_handle } = reserved(run);
  return replaceHandle(run, { generated: false, again: true, isFine: (handle) => handle === pds_handle });
}

async function replaceHandle(
  run: Run,
  { generated, again, isFine }: { generated: boolean; again: boolean; isFine: (handle: Handle) => boolean },
): Promise<void> {
  const { sql, identity, username, naming, random, log } = run;
  const { pds_did: did, pds_handle: refused, user_id: userId } = reserved(run);
  const strategy = generated ? 'generated' : naming.strategy;
  const candidates = handleCandidates({ ...naming, username, strategy, randomInt: random.int });
  await sql.begin(async (tx) => {
    for (const handle of candidates.take(MOST_CANDIDATES)) {
      if (isFine(handle)) return;
      if (handle === refused) continue;
      if (!(await replaceHandleHostname(tx, { userId, did, refused, handle, again }))) continue;
      await updateIdentity(tx, identity, { pds_handle: handle });
      return;
    }
    throw new ProvisioningError('NO_HANDLE_FREE', 'No free handle was found. Try again.', {
      retryable: true,
    });
  });
  if (identity.pds_handle !== refused) log.info('handle replaced', { refused, handle: identity.pds_handle });
}

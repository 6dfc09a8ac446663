import { AppError } from '../app-error.ts';
import { handleCandidates } from '../identity/handle.ts';
import { replaceHandleHostname } from '../identity/hostnames.ts';
import { updateIdentity } from './identity.ts';
import { type Run, reserved } from './run.ts';

const MOST_CANDIDATES = 50;

/**
 * Gives the member the next free handle in place of one that the PDS refused; the DID and the secrets stay.
 * `generated`: leave the member's own name aside. Throws retryable NO_HANDLE_FREE.
 */
export async function takeNextHandle(run: Run, { generated = false } = {}): Promise<void> {
  const { sql, identity, username, naming, random, log } = run;
  const { pds_did: did, pds_handle: refused, user_id: userId } = reserved(run);
  const strategy = generated ? 'generated' : naming.strategy;
  const candidates = handleCandidates({ ...naming, username, strategy, randomInt: random.int });
  await sql.begin(async (tx) => {
    for (const handle of candidates.take(MOST_CANDIDATES)) {
      if (!(await replaceHandleHostname(tx, { userId, did, refused, handle }))) continue;
      await updateIdentity(tx, identity, { pds_handle: handle });
      return;
    }
    throw new AppError('NO_HANDLE_FREE', 'No free handle was found. Try again.', { retryable: true });
  });
  log.info('handle replaced', { refused, handle: identity.pds_handle });
}

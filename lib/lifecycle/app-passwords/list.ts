import { limitUse } from '../../auth/rate-limit.ts';
import { type Me, whoIsThere } from '../../auth/session/session.ts';
import { type AppPassword, listAppPasswords as askFor } from '../../pds/client/app-passwords.ts';
import { type AppPasswordDeps, atHisPds } from './at-his-pds.ts';
import { readOwner } from './owner.ts';

/** How often a member may have his PDS asked: see api/app-passwords.ts. */
const LIMIT = { max: 100, windowSeconds: 86_400 };

/**
 * The app passwords of whoever is logged in as his PDS has them, newest first, whoever made them. Throws `RATE_LIMITED`
 * (429), `IDENTITY_NOT_READY`, and what `atHisPds` throws.
 */
export async function listAppPasswords(deps: AppPasswordDeps, me: Me): Promise<AppPassword[]> {
  const { id } = await whoIsThere(me);
  await limitUse(deps.sql, 'listAppPasswords', id, LIMIT);
  return atHisPds(deps, await readOwner(deps.sql, id, ['active', 'revoked']), askFor);
}

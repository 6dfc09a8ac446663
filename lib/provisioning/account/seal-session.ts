import type { PdsSession } from '../../pds/client/sessions.ts';
import { type Run, reserved } from '../run.ts';
import { sealForMapping } from '../secrets.ts';

/** A session's tokens, sealed for the member's row. */
export async function sealSession(run: Run, session: PdsSession) {
  const { vault, identity } = run;
  const { data_key_id } = reserved(run);
  const [pds_access_token, pds_refresh_token] = await Promise.all([
    sealForMapping(vault, data_key_id, identity, 'pds_access_token', session.accessJwt),
    sealForMapping(vault, data_key_id, identity, 'pds_refresh_token', session.refreshJwt),
  ]);
  return { pds_access_token, pds_refresh_token };
}

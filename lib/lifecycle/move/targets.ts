import type * as z from 'zod/mini';
import type { Me } from '../../auth/session/session.ts';
import { apiError } from '../../http/error-codes.ts';
import { wouldAdmit } from '../../pds/breaker.ts';
import type { ProviderState } from '../../pds/providers.ts';
import type { listProviders } from '../api/moving.ts';

type Shown = z.output<typeof listProviders.data>[number];
type Row = ProviderState & { current: boolean; closing: boolean };

/**
 * Where whoever is logged in lives, and where else members of this service may live: as the settings say and workers have
 * found it; nobody is asked. Throws `IDENTITY_NOT_READY` (409).
 */
export async function showProviders({ now }: { now: () => Date }, me: Me): Promise<Shown[]> {
  const rows = await me<Row>`
    SELECT p.id, p.endpoint, p.service_did, p.breaker_state, p.breaker_until, p.consecutive_failures, p.throttled_until,
      p.id = m.provider_id AS current,
      EXISTS (SELECT FROM pds_possible_orphans o
        WHERE o.user_id = m.user_id AND o.provider_id = p.id AND o.state = 'closing') AS closing
    FROM user_pds_mapping m JOIN pds_providers p ON 'create' = ANY(p.capabilities) OR p.id = m.provider_id
    WHERE m.user_id = me.id AND m.status = 'active' ORDER BY p.id`;
  if (rows.length === 0) throw apiError('IDENTITY_NOT_READY');
  return rows.map((row) => {
    const reason = reasonAgainst(row, now());
    const { host } = new URL(row.endpoint);
    return { provider: row.id, host, current: row.current, takes_you: reason === null, reason };
  });
}

function reasonAgainst(row: Row, now: Date): Shown['reason'] {
  if (row.current) return 'current';
  if (row.closing) return 'closing';
  if (wouldAdmit(row, now)) return null;
  return row.throttled_until && row.throttled_until > now ? 'busy' : 'down';
}

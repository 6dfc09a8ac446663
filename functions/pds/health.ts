import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { health } from '../../lib/pds/api.ts';
import { checkHealth } from '../../lib/pds/health.ts';
import { openOutside } from '../../lib/pds/probes/outside.ts';

/** Leaves of the 3 seconds that a member waits what our own queries take. */
const PROBE_MS = 1900;

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'PDS_PLC_URL']);
const probes = {
  sql,
  provisioningEnabled: settings.PDS_PROVISIONING_ENABLED,
  outside: openOutside(settings, { timeoutMs: PROBE_MS }),
  pdsAt: (endpoint: string) => ({ fetch, endpoint, timeoutMs: PROBE_MS, now: () => new Date() }),
};

export const handler = route(health, api, ({ me }) => checkHealth(probes, me));

import { openPublicApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { healthz } from '../../lib/pds/api.ts';

const { sql, ...api } = await openPublicApi();

export const handler = route(healthz, api, async () => {
  await sql`SELECT 1`;
  return { status: 'ok' as const };
});

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { healthChecks } from '../../lib/pds/api.ts';
import { readHealthChecks } from '../../lib/pds/health-checks.ts';

const api = await openApi();

export const handler = route(healthChecks, api, ({ me, query }) => readHealthChecks(me, query));

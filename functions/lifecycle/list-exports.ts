import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listExports } from '../../lib/lifecycle/api.ts';
import { showExports } from '../../lib/lifecycle/export/show.ts';

const { sql: _, ...api } = await openApi([]);

export const handler = route(listExports, api, ({ me, query }) => showExports(me, query));

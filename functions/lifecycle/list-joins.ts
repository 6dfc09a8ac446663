import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listJoins } from '../../lib/lifecycle/api.ts';
import { showJoins } from '../../lib/lifecycle/join/show.ts';

const { sql, ...api } = await openApi();

export const handler = route(listJoins, api, ({ me, query }) => showJoins(sql, me, query));

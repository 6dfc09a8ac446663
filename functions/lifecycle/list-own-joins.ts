import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listOwnJoins } from '../../lib/lifecycle/api.ts';
import { showOwnJoins } from '../../lib/lifecycle/join/show.ts';

const { sql, ...api } = await openApi();

export const handler = route(listOwnJoins, api, ({ me, query }) => showOwnJoins(sql, me, query));

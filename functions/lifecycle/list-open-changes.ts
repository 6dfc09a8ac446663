import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listOpenChanges } from '../../lib/lifecycle/api.ts';
import { showOpenChanges } from '../../lib/lifecycle/changes/show-open.ts';

const { sql, ...api } = await openApi();

export const handler = route(listOpenChanges, api, ({ query }) => showOpenChanges(sql, query));

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listChanges } from '../../lib/lifecycle/api.ts';
import { showChanges } from '../../lib/lifecycle/changes/show.ts';

const { sql: _, ...api } = await openApi([]);

export const handler = route(listChanges, api, ({ me, query }) => showChanges(me, query));

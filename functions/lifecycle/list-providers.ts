import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listProviders } from '../../lib/lifecycle/api.ts';
import { showProviders } from '../../lib/lifecycle/move/targets.ts';

const { sql: _, ...api } = await openApi([]);

export const handler = route(listProviders, api, ({ me }) => showProviders({ now: () => new Date() }, me));

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listBackups } from '../../lib/lifecycle/api.ts';
import { readBackups } from '../../lib/lifecycle/custody/backups.ts';

const api = await openApi();

export const handler = route(listBackups, api, ({ me, query }) => readBackups(me, query));

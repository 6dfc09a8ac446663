import { listSessions } from '../../lib/auth/api.ts';
import { readSessions } from '../../lib/auth/session/sessions.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const { sql, ...api } = await openApi();

export const handler = route(listSessions, api, ({ me }) => readSessions({ sql }, me));

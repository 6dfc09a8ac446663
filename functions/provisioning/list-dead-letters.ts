import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { listDeadLetters } from '../../lib/provisioning/api.ts';
import { readDeadLetters } from '../../lib/provisioning/dead-letters/dead-letters.ts';

const { sql, ...api } = await openApi();

export const handler = route(listDeadLetters, api, ({ query }) => readDeadLetters(sql, query));

import { verifyAudit } from '../../lib/audit/api.ts';
import { showVerdict } from '../../lib/audit/show-verdict.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

/** Less than the statement_timeout of the role, 20 s, which bounds what no signal reaches. */
const LIMIT_MS = 18_000;

const { sql, ...api } = await openApi();

export const handler = route(verifyAudit, api, ({ me, query, signal }) => {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  return showVerdict({ sql, signal: inTime }, me, query);
});

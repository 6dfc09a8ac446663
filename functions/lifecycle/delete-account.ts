import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { deleteAccount as contract } from '../../lib/lifecycle/api.ts';
import { NOTICES } from '../../lib/lifecycle/changes/notice.ts';
import { requestDeletion } from '../../lib/lifecycle/delete/request.ts';

const { settings, sql, ...api } = await openApi(['PDS_TIMES']);
const deps = { sql, notice: NOTICES[settings.PDS_TIMES], now: () => new Date() };

/** Nobody has to be woken: the relay sends the work when its day is over. */
export const handler = route(contract, api, async ({ member, stepUp }) => {
  const { changeId, dueAt, account } = await requestDeletion(deps, { userId: member.id, stepUp });
  return { change_id: changeId, due_at: dueAt.toISOString(), account };
});

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { cancelChange as contract } from '../../lib/lifecycle/api.ts';
import { cancelChange } from '../../lib/lifecycle/changes/cancel.ts';

const { sql, ...api } = await openApi([]);

export const handler = route(contract, api, async ({ member, params }) => {
  const changeId = Number(params.id);
  const { cancelled } = await cancelChange({ sql }, { userId: member.id, changeId, by: member.id });
  return { change_id: changeId, cancelled };
});

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { approveJoin as contract } from '../../lib/lifecycle/api.ts';
import { NOTICES } from '../../lib/lifecycle/changes/notice.ts';
import { approveJoin } from '../../lib/lifecycle/join/agree.ts';

const { settings, sql, ...api } = await openApi(['PDS_TIMES']);
const deps = { sql, notice: NOTICES[settings.PDS_TIMES], now: () => new Date() };

export const handler = route(contract, api, ({ params, member }) =>
  approveJoin(deps, { joinId: Number(params.id), by: member.id }),
);

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { consentToJoin as contract } from '../../lib/lifecycle/api.ts';
import { NOTICES } from '../../lib/lifecycle/changes/notice.ts';
import { consentToJoin } from '../../lib/lifecycle/join/agree.ts';

const { settings, sql, ...api } = await openApi(['PDS_TIMES']);
const deps = { sql, notice: NOTICES[settings.PDS_TIMES], now: () => new Date() };

export const handler = route(contract, api, ({ params, member, stepUp }) =>
  consentToJoin(deps, { joinId: Number(params.id), userId: member.id, stepUp }),
);

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { requestHandOver as contract } from '../../lib/lifecycle/api.ts';
import { NOTICES } from '../../lib/lifecycle/changes/notice.ts';
import { requestHandOver } from '../../lib/lifecycle/hand-over/request.ts';
import { openStrangers } from '../../lib/pds/strangers.ts';

const { settings, sql, ...api } = await openApi(['PDS_PRIVATE_TARGETS', 'PDS_TIMES']);
const deps = {
  sql,
  strangers: openStrangers(settings),
  notice: NOTICES[settings.PDS_TIMES],
  domain: settings.PDS_DOMAIN,
  now: () => new Date(),
};

export const handler = route(contract, api, ({ body, stepUp }) => requestHandOver(deps, body, stepUp));

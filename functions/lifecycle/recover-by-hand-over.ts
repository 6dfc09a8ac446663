import { openPublicApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { recoverByHandOver as contract } from '../../lib/lifecycle/api.ts';
import { NOTICES } from '../../lib/lifecycle/changes/notice.ts';
import { recoverByHandOver } from '../../lib/lifecycle/hand-over/recover.ts';
import { openStrangers } from '../../lib/pds/strangers.ts';

const { settings, sql, ...api } = await openPublicApi(['PDS_PRIVATE_TARGETS', 'PDS_TIMES', 'PDS_PLC_URL']);
const directory = { fetch: globalThis.fetch, plcUrl: settings.PDS_PLC_URL };
const deps = {
  sql,
  directory,
  strangers: openStrangers(settings),
  notice: NOTICES[settings.PDS_TIMES],
  domain: settings.PDS_DOMAIN,
  now: () => new Date(),
};

export const handler = route(contract, api, ({ body }) => recoverByHandOver(deps, body));

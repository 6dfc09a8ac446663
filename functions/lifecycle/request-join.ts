import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { requestJoin as contract } from '../../lib/lifecycle/api.ts';
import { requestJoin } from '../../lib/lifecycle/join/request.ts';

const { sql, ...api } = await openApi();

export const handler = route(contract, api, ({ body, member }) =>
  requestJoin({ sql }, { ...body, by: member.id }),
);

import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { withdrawJoin } from '../../lib/lifecycle/api.ts';
import { stopJoin } from '../../lib/lifecycle/join/stop.ts';

const { sql, ...api } = await openApi();

export const handler = route(withdrawJoin, api, ({ params, member }) =>
  stopJoin({ sql }, { joinId: Number(params.id), outcome: 'withdrawn', by: member.id }),
);

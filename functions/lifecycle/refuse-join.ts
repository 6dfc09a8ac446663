import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { refuseJoin } from '../../lib/lifecycle/api.ts';
import { stopJoin } from '../../lib/lifecycle/join/stop.ts';

const { sql, ...api } = await openApi();

export const handler = route(refuseJoin, api, ({ params, member: { id } }) =>
  stopJoin({ sql }, { joinId: Number(params.id), outcome: 'refused', by: id, userId: id }),
);

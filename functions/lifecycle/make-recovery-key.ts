import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { makeRecoveryKey as contract } from '../../lib/lifecycle/api.ts';
import { makeRecoveryKey } from '../../lib/lifecycle/recovery-key/make.ts';

const { sql, ...api } = await openApi([]);

export const handler = route(contract, api, ({ member }) => makeRecoveryKey({ sql }, member.id));

import { getSecondFactor } from '../../lib/auth/api.ts';
import { readFactorStatus } from '../../lib/auth/second-factor/factor.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const api = await openApi();

export const handler = route(getSecondFactor, api, ({ me }) => readFactorStatus(me));

import { disableTotp as contract } from '../../lib/auth/api.ts';
import { disableTotp } from '../../lib/auth/second-factor/change.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const api = await openApi();

export const handler = route(contract, api, ({ stepUp }) => disableTotp(api, stepUp));

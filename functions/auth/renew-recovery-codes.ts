import { renewRecoveryCodes as contract } from '../../lib/auth/api.ts';
import { renewRecoveryCodes } from '../../lib/auth/second-factor/change.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const api = await openApi();

export const handler = route(contract, api, async ({ stepUp }) => ({
  recovery_codes: await renewRecoveryCodes(api, stepUp),
}));

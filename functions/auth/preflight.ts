import { preflight } from '../../lib/http/cors.ts';
import { openStaticApi } from '../../lib/http/static-runtime.ts';

export const handler = preflight(await openStaticApi());

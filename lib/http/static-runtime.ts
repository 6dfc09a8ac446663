import { readSettings } from '../config.ts';
import { openLog } from '../observability/log.ts';

/** What the Lambda of a route works with that asks the database nothing: it is not given its login, nor its client. */
export async function openStaticApi() {
  return {
    hosts: await readSettings(['PDS_APP_ORIGIN', 'PDS_DOMAIN', 'PDS_ORIGIN_SECRET']),
    log: openLog('api'),
  };
}

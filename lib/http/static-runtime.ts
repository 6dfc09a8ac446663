import { readSettings } from '../config.ts';
import { openLog } from '../observability/log.ts';
import { HOST_SETTINGS } from './host.ts';

/** What the Lambda of a route works with that asks the database nothing: it is not given its login, nor its client. */
export async function openStaticApi() {
  return { hosts: await readSettings(HOST_SETTINGS), log: openLog('api') };
}

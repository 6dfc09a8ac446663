import type { SettingName } from '../../config.ts';
import { openApi } from '../../http/api-runtime.ts';
import { openQueue } from '../../pds/wake-worker.ts';

/**
 * What the Lambda of a door works with, beside what every route with sessions does: `members` to log somebody in
 * (log-in.ts, login-token.ts), `arrivals` to answer him (answer-login.ts). Once, at module scope.
 */
export async function openDoor<Name extends SettingName = never>(names: readonly Name[] = []) {
  const api = await openApi([
    'PDS_PROVISIONING_ENABLED' as const,
    'PROVISIONING_QUEUE_URL' as const,
    ...names,
  ]);
  const { PDS_PROVISIONING_ENABLED: provisioningEnabled, PROVISIONING_QUEUE_URL: queueUrl } = api.settings;
  return {
    ...api,
    members: { ...api.sessions, provisioningEnabled },
    arrivals: { ...openQueue(api.sql, queueUrl), provisioningEnabled },
  };
}

import { type Limiter, limitUse } from '../auth/rate-limit.ts';
import type { Sessions } from '../auth/session/session.ts';
import { readSettings, type SettingName, type Settings } from '../config.ts';
import { connect } from '../db/connect.ts';
import { wakeAfterFreeze } from '../db/wake.ts';
import { openLog } from '../observability/log.ts';
import { HOST_SETTINGS } from './host.ts';

const PUBLIC_SETTINGS = [...HOST_SETTINGS, 'DATABASE_URL'] as const;
const SESSION_SETTINGS = ['SESSION_SECRET', 'ADMIN_TELEGRAM_IDS'] as const;
type PublicSetting = (typeof PUBLIC_SETTINGS)[number];
type SessionSetting = (typeof SESSION_SETTINGS)[number];

/**
 * What a public route's Lambda works with: its settings (those named here beside the ones that every route reads), the
 * database and the log. Once, at module scope; fails with all settings that are missing or wrong.
 */
export async function openPublicApi<Name extends SettingName = never>(
  names: readonly Name[] = [],
  { connections = 1 }: { connections?: number } = {},
) {
  const settings = await readSettings<Name | PublicSetting>([...PUBLIC_SETTINGS, ...names]);
  const sql = connect(settings.DATABASE_URL, {
    applicationName: process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'api',
    max: connections,
  });
  const limit: Limiter = (...use) => limitUse(sql, ...use);
  return {
    settings,
    sql,
    limit,
    log: openLog('api'),
    awake: wakeAfterFreeze(sql),
    hosts: settings satisfies Settings<PublicSetting>,
  };
}

/** The same for a route whose Lambda knows members by their session. */
export async function openApi<Name extends SettingName = never>(
  names: readonly Name[] = [],
  options: { connections?: number } = {},
) {
  const api = await openPublicApi<Name | SessionSetting>([...SESSION_SETTINGS, ...names], options);
  const { SESSION_SECRET, ADMIN_TELEGRAM_IDS = [] }: Settings<SessionSetting> = api.settings;
  const sessions = { sql: api.sql, sessionSecrets: SESSION_SECRET, adminIds: ADMIN_TELEGRAM_IDS };
  return { ...api, sessions: sessions satisfies Sessions };
}

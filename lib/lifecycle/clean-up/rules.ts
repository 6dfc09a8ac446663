import type { Fragment } from 'postgres';
import type { Queryable } from '../../db/connect.ts';
import { isOpen } from '../../provisioning/dead-letters/dead-letters.ts';

/** How long checks of health are kept, in days (UTC). */
export const HEALTH_DAYS = 30;

/** Rows of a table that are over, and since when for long enough. */
export type Rule = {
  /** As it is called in the log, where a name like `token` would blot its number out. */
  what: string;
  table: string;
  /** Of a row `t`: nobody needs it any more. */
  isOver(sql: Queryable): Fragment;
  /** Others may have the row in hand: it is left to the next run. */
  contended?: true;
};

/** A dead letter that is still open names its work; older work that failed is not open, because this took its place. */
const isNeeded = (sql: Queryable) => sql`(
  EXISTS (SELECT FROM dead_letters d WHERE d.queue_id = t.id AND d.redriven_at IS NULL)
  OR EXISTS (
    SELECT FROM pds_provisioning_queue older WHERE older.user_id = t.user_id AND older.id < t.id
      AND older.status = 'failed'))`;

/**
 * Everything that is deleted, and what says how long it is kept. What is not here is kept for ever: above all data keys,
 * host names, the audit log and members, for which the worker's role has no right to delete either.
 */
export const RULES: readonly Rule[] = [
  // What logs in, or did. A session lasts 30 days at most.
  rule('sessions', (sql) => sql`t.expires_at < now() - interval '7 days'`),
  rule('step_ups', (sql) => sql`t.expires_at < now() - interval '1 day'`),
  rule('login_nonces', (sql) => sql`t.expires_at < now() - interval '1 day'`),
  { ...rule('login_tokens', (sql) => sql`t.expires_at < now() - interval '1 day'`), what: 'login_links' },
  rule('login_states', (sql) => sql`t.expires_at < now() - interval '1 day'`),
  // The longest window is a day.
  rule('rate_limits', (sql) => sql`t.window_start < now() - interval '2 days'`),
  // Telegram sends an update for 24 hours: https://core.telegram.org/bots/api#getting-updates
  rule('telegram_updates', (sql) => sql`t.received_at < now() - interval '7 days'`),
  rule(
    'telegram_messages',
    (sql) => sql`(t.sent_at IS NOT NULL OR t.gave_up_at IS NOT NULL)
      AND coalesce(t.sent_at, t.gave_up_at) < now() - interval '30 days'`,
  ),
  rule(
    'operator_messages',
    (sql) => sql`t.created_at < now() - interval '30 days' AND t.published_at IS NOT NULL`,
  ),
  // Work.
  {
    what: 'completed_work',
    table: 'pds_provisioning_queue',
    isOver: (sql) => sql`
      t.status = 'completed' AND t.updated_at < now() - interval '7 days' AND NOT ${isNeeded(sql)}`,
    contended: true,
  },
  {
    what: 'failed_work',
    table: 'pds_provisioning_queue',
    isOver: (sql) => sql`
      t.status = 'failed' AND t.updated_at < now() - interval '7 days' AND NOT ${isNeeded(sql)}
      AND NOT EXISTS (
        SELECT FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id) WHERE q.id = t.id AND ${isOpen(sql)})`,
    contended: true,
  },
  { ...rule('dead_letters', (sql) => sql`t.redriven_at < now() - interval '30 days'`), contended: true },
  // Backups expire 30 days after they were made, but never the newest unused one of a member (012_restore.sql), which
  // is the only one that nearly everybody has: it is not even looked at (021_expired_backups.sql).
  backups((sql) => sql`t.is_used AND t.expires_at <= now()`),
  backups(
    (sql) => sql`
      NOT t.is_used AND t.expires_at <= now() AND backup_state(t) <> 'restorable' AND t.user_id IN (
        SELECT user_id FROM pds_credential_backups WHERE NOT is_used GROUP BY user_id HAVING count(*) > 1)`,
  ),
  // What was changed, and who joined what, stays in the log.
  rule('pds_changes', (sql) => sql`t.ended_at < now() - interval '90 days'`),
  rule('pds_joins', (sql) => sql`t.ended_at < now() - interval '90 days'`),
  // Where a day had no partition of its own.
  rule(
    'pds_health_checks_default',
    (sql) => sql`t.created_at < now() - make_interval(days => ${HEALTH_DAYS})`,
  ),
];

function backups(isOver: Rule['isOver']): Rule {
  return { what: 'backups', table: 'pds_credential_backups', isOver, contended: true };
}

function rule(table: string, isOver: Rule['isOver']): Rule {
  return { what: table, table, isOver };
}

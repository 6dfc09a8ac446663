import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { deletion } from '../../../../lib/lifecycle/clean-up/delete-batch.ts';
import { RULES } from '../../../../lib/lifecycle/clean-up/rules.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';

/** Of each table; one in a hundred is over. The plans are the same with 200,000. */
const ROWS = Number(process.env.CLEAN_UP_ROWS ?? 20_000);
const hash = `sha256(n::text::bytea)`;
/** When a row is over: a year ago for one in a hundred, else just now. */
const at = `now() - CASE WHEN n % 100 = 0 THEN interval '1 year' ELSE interval '0' END`;
const rows = `generate_series(1, ${ROWS}) n`;

const FILLED: Record<string, string> = {
  users: `INSERT INTO users (id) SELECT n FROM ${rows}`,
  user_pds_mapping: `INSERT INTO user_pds_mapping (user_id) SELECT n FROM ${rows}`,
  sessions: `INSERT INTO sessions (user_id, token_hmac, login_method, expires_at) SELECT n, ${hash}, 'widget', ${at} FROM ${rows}`,
  step_ups: `INSERT INTO step_ups (session_id, user_id, operation, expires_at) SELECT id, user_id, 'x', expires_at FROM sessions`,
  login_nonces: `INSERT INTO login_nonces (signature_hash, expires_at) SELECT ${hash}, ${at} FROM ${rows}`,
  login_tokens: `INSERT INTO login_tokens (token_hash, kind, user_id, expires_at) SELECT ${hash}, 'link', n, ${at} FROM ${rows}`,
  login_states: `INSERT INTO login_states (state_hash, browser_hash, return_to, expires_at) SELECT ${hash}, ${hash}, '/', ${at} FROM ${rows}`,
  rate_limits: `INSERT INTO rate_limits (bucket, window_start) SELECT 'x:' || n, ${at} FROM ${rows}`,
  telegram_updates: `INSERT INTO telegram_updates (update_id, received_at) SELECT n, ${at} FROM ${rows}`,
  telegram_messages: `INSERT INTO telegram_messages (chat_id, kind, language, sent_at) SELECT n, 'help', 'en', ${at} FROM ${rows}`,
  operator_messages: `INSERT INTO operator_messages (kind, subjects, subject_count, since, created_at, published_at) SELECT 'x', '{}', 1, now(), ${at}, now() FROM ${rows}`,
  pds_provisioning_queue: `INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, status, created_at, updated_at)
    SELECT user_id, pnptv_uuid, w.action, w.status, ${at}, ${at}
    FROM (SELECT *, user_id::int AS n FROM user_pds_mapping) m,
      (VALUES ('create', 'completed'), ('verify', 'completed'), ('verify', 'failed'), ('rotate_keys', 'pending')) w (action, status)`,
  dead_letters: `INSERT INTO dead_letters (source_queue, message_id, message_body, receive_count, reason, redriven_at) SELECT 'q', n, '', 1, 'x', ${at} FROM ${rows}`,
  pds_credential_backups: `INSERT INTO pds_credential_backups (user_id, pnptv_uuid, backup_type, backup_data_encrypted, backup_iv, backup_auth_tag, data_key_id, credential_version, expires_at, is_used, used_at)
    SELECT user_id, pnptv_uuid, 'auto', 'x', 'x', 'x', k.id, 1, now() - interval '1 day', w.is_used, CASE WHEN w.is_used THEN now() END
    FROM (SELECT *, user_id::int AS n FROM user_pds_mapping) m, pds_data_keys k, (VALUES (false, 1), (false, 100), (true, 100)) w (is_used, one_in)
    WHERE n % w.one_in = 0`,
  pds_changes: `INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by, ended_at, outcome) SELECT n, gen_random_uuid(), 'rename', n, ${at}, 'done' FROM ${rows}`,
  pds_joins: `INSERT INTO pds_joins (from_user_id, to_user_id, reason, requested_by, ended_at, outcome) SELECT n, n + 1, 'x', n, ${at}, 'refused' FROM ${rows}`,
  pds_health_checks_default: `INSERT INTO pds_health_checks (pds_endpoint, check_type, status, created_at) SELECT 'x', 'connectivity', 'success', now() + interval '30 days' - CASE WHEN n % 100 = 0 THEN interval '1 year' ELSE interval '0' END FROM ${rows}`,
};

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.superuserUrl);
  await sql`SET session_replication_role = replica`;
  await sql`INSERT INTO pds_data_keys (id, wrapped_key, wrapper_key_id, environment, state) VALUES (gen_random_uuid(), 'x', 'x', 'test', 'current')`;
  for (const statement of Object.values(FILLED)) await sql.unsafe(statement);
  await sql`SET session_replication_role = origin`;
  await sql`ANALYZE`;
}, 120_000);
afterAll(async () => {
  await sql.end();
  await database.drop();
});

describe('the clean-up, in a table with many rows that are not over,', () => {
  it('has rows in every table that it looks at', () => {
    expect(Object.keys(FILLED)).toEqual(expect.arrayContaining(RULES.map(({ table }) => table)));
  });

  it.each(RULES)('finds $what by an index', async (rule) => {
    const plan = (await sql`EXPLAIN ${deletion(sql, rule)}`).map((line) => line['QUERY PLAN']).join('\n');
    expect(plan).not.toMatch(new RegExp(`Seq Scan on ${rule.table}`));
    expect(plan).toContain('Tid Scan');
  });

  it('looks at no backup that is the only one of its member', async () => {
    for (const rule of RULES.filter(({ table }) => table === 'pds_credential_backups')) {
      const [explained] = await sql`EXPLAIN (ANALYZE, FORMAT JSON) ${deletion(sql, rule)}`;
      let lookedAt = 0;
      JSON.stringify(explained, (_, node) => {
        if (node?.Alias === 't') lookedAt += (node['Rows Removed by Filter'] ?? 0) * node['Actual Loops'];
        return node;
      });
      expect(lookedAt).toBeLessThan(ROWS / 10);
    }
  });

  it.each([
    `SELECT id FROM pds_provisioning_queue WHERE status IN ('pending', 'processing') AND parked_reason IS NULL
      AND stale_since IS NULL AND created_at < now() - interval '6 days' LIMIT 1000`,
    `UPDATE pds_provisioning_queue SET stale_since = NULL WHERE stale_since IS NOT NULL AND parked_reason IS NOT NULL`,
    `SELECT id FROM pds_provisioning_queue WHERE stale_since < now() - interval '1 day' ORDER BY stale_since, id LIMIT 1`,
  ])('finds stale work by an index: %s', async (statement) => {
    const plan = (await sql.unsafe(`EXPLAIN ${statement}`)).map((line) => line['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Index (Only )?Scan|Bitmap Index Scan/);
    expect(plan).not.toContain('Seq Scan');
  });
});

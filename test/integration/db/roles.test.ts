import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit } from '../../../lib/audit/append.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const DENIED = '42501';
const member = { userId: '42', pnptvUuid: randomUUID() };
const dataKeyId = randomUUID();

let database: TestDatabase;
let owner: Sql;
let superuser: Sql;
const app: Record<string, Sql> = {};
beforeAll(async () => {
  database = await freshDatabase();
  owner = connect(database.ownerUrl);
  superuser = connect(database.superuserUrl);
  app.pds_api = connect(database.apiUrl);
  app.pds_worker = connect(database.workerUrl);
  await owner`INSERT INTO users (id) VALUES ('42'), ('43')`;
  await owner`INSERT INTO pds_providers (id, endpoint) VALUES ('local', 'http://127.0.0.1:3000')`;
  await owner`
    INSERT INTO pds_data_keys (id, wrapped_key, wrapper_key_id, environment, state)
    VALUES (${dataKeyId}, 'wrapped', 'key-1', 'test', 'current')`;
  await owner`INSERT INTO user_pds_mapping (user_id, pnptv_uuid, data_key_id) VALUES ('42', ${member.pnptvUuid}, ${dataKeyId})`;
  await owner.begin((tx) => appendAudit(tx, { ...member, action: 'created', status: 'success' }));
});
afterAll(async () => {
  await Promise.all([owner, superuser, ...Object.values(app)].map((sql) => sql.end()));
  await database.drop();
});

const attempt = (role: string, statement: string) => {
  const sql = { ...app, owner, superuser }[role];
  if (!sql) throw new Error(`no role ${role}`);
  return sql.begin((tx) => tx.unsafe(statement));
};

const GUARDED = ['pds_provisioning_log', 'pds_erasure_keys', 'pds_data_keys'];

describe.each(['pds_api', 'pds_worker'])('%s', (role) => {
  it.each([
    ...GUARDED.flatMap((table) => [
      `DELETE FROM ${table}`,
      `TRUNCATE ${table} CASCADE`,
      `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
      `DROP TABLE ${table} CASCADE`,
      `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
      `ALTER TABLE ${table} OWNER TO ${role}`,
      `CREATE RULE quiet AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
    ]),
    `UPDATE pds_provisioning_log SET status = 'failed'`,
    `UPDATE pds_erasure_keys SET erasure_key = NULL, erased_at = now()`,
    `UPDATE pds_data_keys SET wrapped_key = 'x'`,
    `UPDATE pds_data_keys SET wrapper_key_id = 'x'`,
    `DROP TRIGGER emptied ON pds_provisioning_log`,
    `CREATE OR REPLACE FUNCTION pds_provisioning_log_update() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
    `SET session_replication_role = replica`,
    `SET ROLE pds_owner`,
    `SET SESSION AUTHORIZATION pds_owner`,
    `ALTER ROLE ${role} CREATEROLE`,
    `CREATE TABLE mine (id int)`,
    `CREATE SCHEMA mine`,
    `DROP TABLE user_pds_mapping CASCADE`,
    `DELETE FROM users`,
    `DELETE FROM user_pds_mapping`,
    `DELETE FROM hostnames`,
    `SELECT * FROM pgmigrations`,
  ])('may not: %s', async (statement) => {
    await expect(attempt(role, statement)).rejects.toMatchObject({ code: DENIED });
  });

  it.each([
    ['start a second chain', 1, `decode(repeat('00', 32), 'hex')`, 'now()'],
    ['leave a gap in a chain', 3, `sha256('x')`, 'now()'],
    ['follow another row than the last', 2, `sha256('x')`, 'now()'],
    ['date a row back', 2, '(SELECT max(row_hash) FROM pds_provisioning_log)', `now() - interval '1 hour'`],
  ])('cannot %s', async (_, seq, prevHash, createdAt) => {
    const insert = `
      INSERT INTO pds_provisioning_log (user_id, pnptv_uuid, action, status, created_by, created_at, seq, prev_hash, row_hash,
        user_id_commitment, details_commitment, error_message_commitment)
      VALUES ('42', '${member.pnptvUuid}', 'created', 'success', 'system', ${createdAt}, ${seq}, ${prevHash},
        sha256('r'), sha256('u'), sha256('d'), sha256('e'))`;
    await expect(attempt(role, insert)).rejects.toMatchObject({ code: expect.stringMatching(/^23/) });
  });

  it('may append to the log', async () => {
    const sql = role === 'pds_api' ? app.pds_api : app.pds_worker;
    await sql?.begin((tx) => appendAudit(tx, { ...member, action: 'verified', status: 'success' }));
    expect(await verifyMember(owner, member.pnptvUuid)).toMatchObject({ intact: true });
  });
});

describe('pds_api', () => {
  it.each([
    ...[
      'pds_did',
      'pds_handle',
      'pds_endpoint',
      'pds_private_key_encrypted',
      'pds_access_token',
      'pds_refresh_token',
      'pds_public_key',
    ],
    ...[
      'account_password_sealed',
      'bootstrap_key_sealed',
      'rotation_key_sealed',
      'rotation_public_key',
      'service_handle',
      'did_method',
      'atproto_public_key',
      'provisioning_step',
      'user_id',
    ],
  ])('may not change %s of an identity', async (column) => {
    await expect(attempt('pds_api', `UPDATE user_pds_mapping SET ${column} = 'x'`)).rejects.toMatchObject({
      code: DENIED,
    });
  });

  it.each([
    `UPDATE user_pds_mapping SET epoch = epoch + 1`,
    `UPDATE user_pds_mapping SET credential_version = credential_version + 1`,
    `UPDATE user_pds_mapping SET lease_until = NULL`,
    `UPDATE user_pds_mapping SET left_at = now()`,
    `DELETE FROM pds_recovery_keys`,
    `UPDATE pds_recovery_keys SET user_id = '43'`,
    `UPDATE pds_credential_backups SET is_used = true, used_at = now()`,
    `UPDATE pds_credential_backups SET is_used = false, used_at = NULL`,
    `INSERT INTO user_pds_mapping (user_id, pds_did) VALUES ('43', 'did:web:mine')`,
    `UPDATE pds_providers SET endpoint = 'https://evil.example'`,
    `INSERT INTO hostnames (hostname, kind) VALUES ('mine.pnptv.app', 'handle')`,
    `INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase) VALUES ('42', 'pnptv-9', 'z')`,
    `UPDATE pds_credential_backups SET backup_data_encrypted = 'x'`,
    `INSERT INTO audit_roots (created_at, statement, signature) VALUES (now(), '{}', '{}')`,
    `UPDATE audit_root_blocks SET hash = sha256('x')`,
    `DELETE FROM pds_credential_backups`,
    `SELECT account_password_sealed FROM pds_possible_orphans`,
    `UPDATE pds_possible_orphans SET state = 'possible'`,
    `DELETE FROM pds_provisioning_queue`,
    `UPDATE pds_exports SET storage_id = gen_random_uuid()`,
    `UPDATE pds_exports SET outcome = 'ready', ended_at = now()`,
    `DELETE FROM pds_exports`,
    `SELECT * FROM pds_export_entries`,
    `SELECT * FROM pds_export_remains`,
    `UPDATE users SET id = '44'`,
    `DELETE FROM login_nonces`,
    `UPDATE telegram_messages SET chat_id = 43`,
    `DELETE FROM telegram_messages`,
    `SELECT erase_member('${member.pnptvUuid}')`,
    `SELECT erase_identity('42', 0, '{}')`,
    `SELECT join_identities(1, 0, 0, '{}')`,
    `UPDATE pds_joins SET to_user_id = '43'`,
    `UPDATE pds_joins SET requested_by = '43'`,
    `SELECT * FROM tables_of_members()`,
    `SELECT make_health_partitions(1)`,
    `SELECT drop_health_partition(30)`,
    `SELECT free_hostnames(1)`,
    `DELETE FROM dead_letters`,
    `DELETE FROM operator_notices`,
    `SELECT * FROM operator_messages`,
  ])('may not: %s', async (statement) => {
    await expect(attempt('pds_api', statement)).rejects.toMatchObject({ code: DENIED });
  });

  describe('may put the credentials of a backup in the place of the present ones', () => {
    const KEY = 'zKey';
    const sealed = {
      pds_public_key: KEY,
      pds_private_key_encrypted: 'new key',
      pds_private_key_iv: 'new iv',
      pds_private_key_auth_tag: 'new tag',
      account_password_sealed: 'new password',
      pds_access_token: 'new access',
      pds_refresh_token: 'new refresh',
    };
    const recover = (type = 'recovery', user = '50') => `
      INSERT INTO pds_credential_backups (user_id, pnptv_uuid, backup_type, backup_data_encrypted, backup_iv,
        backup_auth_tag, data_key_id, credential_version)
      SELECT user_id, pnptv_uuid, '${type}', 'x', 'x', 'x', data_key_id, 1 FROM user_pds_mapping WHERE user_id = '${user}'`;
    const restore = (args: string, credentials: object = sealed) =>
      `SELECT restore_credentials(${args}, '${JSON.stringify(credentials)}')`;
    const mapping = async () => (await owner`SELECT * FROM user_pds_mapping WHERE user_id = '50'`)[0];
    let backup = 0;
    beforeAll(async () => {
      await owner`INSERT INTO users (id) VALUES ('50'), ('51')`;
      for (const user of ['50', '51']) {
        await owner`
          INSERT INTO user_pds_mapping ${owner({
            user_id: user,
            pds_did: `did:web:${user}.test`,
            pds_handle: `${user}.test`,
            pds_endpoint: 'http://pds.test',
            pds_public_key: KEY,
            pds_private_key_encrypted: 'key',
            pds_private_key_iv: 'iv',
            pds_private_key_auth_tag: 'tag',
            pds_refresh_token: 'refresh',
            account_password_sealed: 'password',
            status: 'active',
            provisioning_step: 'secured',
            provider_id: 'local',
            data_key_id: dataKeyId,
            epoch: 3,
          })}`;
      }
      await owner`INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase) VALUES ('50', 'pnptv-1', ${KEY})`;
      await attempt('owner', recover('manual'));
      backup = (await owner<[{ id: number }]>`SELECT id FROM pds_credential_backups`)[0].id;
    });

    it.each([
      ['without a backup of those', async () => restore(`'50', ${backup}, 3, 1`)],
      ['of another member', async () => `${recover('recovery', '51')}; ${restore(`'51', ${backup}, 3, 1`)}`],
      ['after somebody else claimed him', async () => `${recover()}; ${restore(`'50', ${backup}, 2, 1`)}`],
      ['after another restore', async () => `${recover()}; ${restore(`'50', ${backup}, 3, 0`)}`],
      [
        'with a key that is not published',
        async () =>
          `${recover()}; ${restore(`'50', ${backup}, 3, 1`, { ...sealed, pds_public_key: 'zOther' })}`,
      ],
      [
        'with something missing',
        async () => `${recover()}; ${restore(`'50', ${backup}, 3, 1`, { pds_public_key: KEY })}`,
      ],
    ])('but not %s', async (_, statement) => {
      const before = await mapping();
      await expect(attempt('pds_api', await statement())).rejects.toMatchObject({
        code: expect.stringMatching(/^23/),
      });
      expect(await mapping()).toEqual(before);
      expect(await owner`SELECT id, is_used FROM pds_credential_backups`).toEqual([
        { id: backup, is_used: false },
      ]);
    });

    it.each([`status = 'error'`, `lease_until = now() + interval '1 minute'`])(
      'but not while %s',
      async (state) => {
        await owner.unsafe(`UPDATE user_pds_mapping SET ${state} WHERE user_id = '50'`);
        await expect(
          attempt('pds_api', `${recover()}; ${restore(`'50', ${backup}, 3, 1`)}`),
        ).rejects.toMatchObject({ code: '23000' });
        await owner`UPDATE user_pds_mapping SET status = 'active', lease_until = NULL WHERE user_id = '50'`;
      },
    );

    it('once, and nothing else of the identity', async () => {
      const before = await mapping();
      await attempt('pds_api', `${recover()}; ${restore(`'50', ${backup}, 3, 1`)}`);
      const after = await mapping();
      expect(after).toEqual({
        ...before,
        ...sealed,
        epoch: 4,
        credential_version: 2,
        updated_at: after?.updated_at,
      });
      await expect(
        attempt('pds_api', `${recover()}; ${restore(`'50', ${backup}, 4, 2`)}`),
      ).rejects.toMatchObject({ code: '23000' });
      await expect(attempt('pds_worker', restore(`'50', ${backup}, 4, 2`))).rejects.toMatchObject({
        code: DENIED,
      });
    });

    it('but not of a did:plc without its rotation key, which comes back sealed for the new version', async () => {
      await owner.unsafe(`
        UPDATE user_pds_mapping SET did_method = 'plc', rotation_key_sealed = 'old', rotation_public_key = 'zRotation'
        WHERE user_id = '50'`);
      await attempt('owner', recover('manual'));
      const [{ id }] = await owner<[{ id: number }]>`SELECT max(id) AS id FROM pds_credential_backups`;
      const args = `'50', ${id}, 4, 2`;
      await expect(attempt('pds_api', `${recover()}; ${restore(args)}`)).rejects.toMatchObject({
        code: '23514',
      });
      await attempt(
        'pds_api',
        `${recover()}; ${restore(args, { ...sealed, rotation_key_sealed: 'new rotation key' })}`,
      );
      expect(await mapping()).toMatchObject({
        rotation_key_sealed: 'new rotation key',
        rotation_public_key: 'zRotation',
      });
      await owner.unsafe(`
        UPDATE user_pds_mapping SET did_method = 'web', epoch = 4, credential_version = 2 WHERE user_id = '50'`);
    });

    it('but not with the recovery backup of another time', async () => {
      await attempt('owner', recover('manual'));
      const [{ id }] = await owner<[{ id: number }]>`SELECT max(id) AS id FROM pds_credential_backups`;
      const again = restore(`'50', ${id}, 4, 2`);
      await expect(attempt('pds_api', again)).rejects.toMatchObject({ code: '23000' });
      await attempt('pds_api', `${recover()}; ${again}`);
    });
  });

  it('may let a new member in and ask for his identity', async () => {
    await app.pds_api?.begin(async (tx) => {
      await tx`
        INSERT INTO users (id, username) VALUES ('44', 'carol')
        ON CONFLICT (id) DO UPDATE SET username = excluded.username, last_login_at = now()`;
      await tx`INSERT INTO user_pds_mapping (user_id) VALUES ('44') ON CONFLICT (user_id) DO NOTHING`;
      await tx`
        INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action)
        SELECT user_id, pnptv_uuid, 'create' FROM user_pds_mapping WHERE user_id = '44'`;
    });
    expect(await owner`SELECT status FROM pds_provisioning_queue WHERE user_id = '44'`).toEqual([
      { status: 'pending' },
    ]);
  });
});

describe('pds_worker', () => {
  const step = (name: string) => `UPDATE pds_changes SET step = '${name}' WHERE user_id = '60'`;
  const erased = `SELECT erase_member((SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = '60'))`;
  const erase = (epoch = 0) => `SELECT erase_identity('60', ${epoch}, '{}')`;
  /** In one transaction, after the entry that an erasure needs. */
  const attemptErasure = (...statements: string[]) =>
    app.pds_worker?.begin(async (tx) => {
      const [mapping] = await tx<
        [{ pnptv_uuid: string }]
      >`SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = '60'`;
      const entry = {
        userId: '60',
        pnptvUuid: mapping.pnptv_uuid,
        action: 'erased',
        status: 'success',
      } as const;
      await appendAudit(tx, entry);
      for (const statement of statements) await tx.unsafe(statement);
    });
  beforeAll(async () => {
    await owner`INSERT INTO users (id) VALUES ('60')`;
    await owner`INSERT INTO user_pds_mapping (user_id) VALUES ('60')`;
    await owner`
      INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by, step)
      SELECT user_id, pnptv_uuid, 'delete', '60', 'accounts_ended' FROM user_pds_mapping WHERE user_id = '60'`;
  });

  it.each([
    ['whose log is not erased', [erase()]],
    ['whom it does not hold', [erased, erase(1)]],
    ['whose accounts have not ended', [step('begun'), erased, erase()]],
    [
      'whose day is not over',
      [`UPDATE pds_changes SET due_at = now() + interval '1 hour' WHERE user_id = '60'`, erased, erase()],
    ],
    [
      'who wants something else',
      [`UPDATE pds_changes SET kind = 'revoke' WHERE user_id = '60'`, erased, erase()],
    ],
    [
      'who has taken it back',
      [`UPDATE pds_changes SET ended_at = now(), outcome = 'cancelled'`, erased, erase()],
    ],
    [
      'with an account that nobody has looked for',
      [
        `INSERT INTO pds_possible_orphans (user_id, pnptv_uuid, provider_id, pds_did, account_password_sealed, data_key_id, create_started_at)
         SELECT user_id, pnptv_uuid, 'local', 'did:web:x', 'sealed', '${dataKeyId}', now() FROM user_pds_mapping WHERE user_id = '60'`,
        erased,
        erase(),
      ],
    ],
  ])('may not erase one %s', async (_, statements) => {
    await expect(attemptErasure(...statements)).rejects.toMatchObject({ code: '23000' });
    expect(await owner`SELECT FROM users WHERE id = '60'`).toHaveLength(1);
  });

  it('may erase who is to be erased, and nobody else with him', async () => {
    const before = await owner`SELECT count(*)::int AS users FROM users`;
    await attemptErasure(erased, erase());
    expect(await owner`SELECT count(*)::int + 1 AS users FROM users`).toEqual(before);
    expect(await owner`SELECT FROM users WHERE id = '60'`).toHaveLength(0);
  });
});

describe('the owner, whom no grant holds back,', () => {
  it.each([
    `UPDATE pds_provisioning_log SET status = 'failed'`,
    `UPDATE pds_provisioning_log SET user_id = NULL, details = NULL, error_message = NULL`,
    `DELETE FROM pds_provisioning_log`,
    `TRUNCATE pds_provisioning_log`,
    `UPDATE pds_erasure_keys SET erasure_key = sha256('x')`,
    `DELETE FROM pds_erasure_keys`,
    `TRUNCATE pds_erasure_keys`,
    `DELETE FROM pds_data_keys`,
    `TRUNCATE pds_data_keys CASCADE`,
    `UPDATE pds_data_keys SET wrapped_key = 'other'`,
    `UPDATE pds_data_keys SET wrapper_key_id = 'other'`,
    `UPDATE pds_data_keys SET environment = 'other'`,
  ])('is stopped by a trigger: %s', async (statement) => {
    await expect(attempt('owner', statement)).rejects.toMatchObject({ code: DENIED });
    await expect(
      attempt('superuser', `SET LOCAL session_replication_role = replica; ${statement}`),
    ).rejects.toMatchObject({ code: DENIED });
  });

  it('may wrap a data key anew under another key', async () => {
    await owner`UPDATE pds_data_keys SET wrapped_key = 'rewrapped', wrapper_key_id = 'key-2' WHERE id = ${dataKeyId}`;
    expect(await owner`SELECT wrapper_key_id FROM pds_data_keys`).toEqual([{ wrapper_key_id: 'key-2' }]);
  });

  it('cannot delete a user whom the log names', async () => {
    await expect(attempt('owner', `DELETE FROM users WHERE id = '42'`)).rejects.toThrow('foreign key');
  });
});

describe('the grants', () => {
  it('let nobody delete but what expires, and nobody truncate', async () => {
    const rows = await owner`
      SELECT DISTINCT grantee::text, table_name::text AS table, privilege_type::text AS privilege
      FROM information_schema.role_table_grants
      WHERE table_schema = 'public' AND grantee <> 'pds_owner' AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE')
      ORDER BY 1, 2`;
    expect(rows.map(({ grantee, privilege, table }) => `${grantee} ${privilege} ${table}`)).toEqual([
      'pds_api DELETE totp_factors',
      'pds_worker DELETE audit_roots',
      'pds_worker DELETE dead_letters',
      'pds_worker DELETE health_sweeps',
      'pds_worker DELETE login_nonces',
      'pds_worker DELETE login_states',
      'pds_worker DELETE login_tokens',
      'pds_worker DELETE operator_messages',
      'pds_worker DELETE operator_notices',
      'pds_worker DELETE pds_changes',
      'pds_worker DELETE pds_credential_backups',
      'pds_worker DELETE pds_export_entries',
      'pds_worker DELETE pds_export_remains',
      'pds_worker DELETE pds_exports',
      'pds_worker DELETE pds_health_checks_default',
      'pds_worker DELETE pds_joins',
      'pds_worker DELETE pds_possible_orphans',
      'pds_worker DELETE pds_provisioning_queue',
      'pds_worker DELETE rate_limits',
      'pds_worker DELETE sessions',
      'pds_worker DELETE step_ups',
      'pds_worker DELETE telegram_messages',
      'pds_worker DELETE telegram_updates',
    ]);
  });

  it('give PUBLIC nothing, not even the functions of later migrations', async () => {
    await owner`CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'`;
    await expect(attempt('pds_api', 'SELECT later()')).rejects.toMatchObject({ code: DENIED });
    const functions = await owner`
      SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')`;
    expect(functions).toEqual([]);
  });

  it('fix the search path of every function that runs with the rights of the owner', async () => {
    const functions = await owner`
      SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY 1`;
    expect(functions.map(({ proname }) => proname)).toEqual([
      'drop_health_partition',
      'erase_identity',
      'erase_member',
      'free_hostnames',
      'join_identities',
      'make_health_partitions',
      'pds_exports_leave_remains',
      'restore_credentials',
    ]);
    for (const { proconfig } of functions)
      expect(proconfig).toEqual(['search_path=pg_catalog, public, pg_temp']);
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startS3 } from '../../../infra/local/aws/s3/s3.ts';
import { readChain, verifyChain } from '../../../lib/audit/verify.ts';
import { verifyLog } from '../../../lib/audit/verify-log.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { createAppPassword } from '../../../lib/lifecycle/app-passwords/create.ts';
import { revokeAppPassword } from '../../../lib/lifecycle/app-passwords/revoke.ts';
import { askForChange } from '../../../lib/lifecycle/changes/ask.ts';
import type { ChangeRequest } from '../../../lib/lifecycle/changes/request.ts';
import { revealCredential } from '../../../lib/lifecycle/custody/reveal.ts';
import { exporting } from '../../../lib/lifecycle/export/perform.ts';
import { requestExport } from '../../../lib/lifecycle/export/request.ts';
import { createStorage } from '../../../lib/lifecycle/export/storage.ts';
import { emptyProvider } from '../../../lib/lifecycle/move/empty.ts';
import { createVault } from '../../../lib/vault/vault.ts';
import { auditVerify } from '../audit/audit-verify.ts';
import { DOMAIN, identityOf } from '../provisioning/stage.ts';
import { tracesOf } from './ending/traces.ts';
import { type Desk, openDesk } from './hand-over/desk.ts';
import { newRecoveryKey } from './hand-over/leaver.ts';
import { openShipyard, openVoyage, type Shipyard, type Voyage } from './move/voyage.ts';

const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** The whole life of one member, as it stands in his log: what happened, how it ended, and who asked for it. */
describe('the log of a member to whom everything happened', () => {
  let yard: Shipyard;
  let voyage: Voyage;
  let desk: Desk;
  let sql: Sql;
  let folder: string;
  let server: Awaited<ReturnType<typeof startS3>>;
  let s3: S3Client;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'life-'));
    [yard, server] = await Promise.all([openShipyard(), startS3(folder, CREDENTIALS)]);
    server.addBucket({ name: 'exports', locked: false });
    s3 = new S3Client({
      endpoint: server.url,
      region: 'eu-central-1',
      credentials: CREDENTIALS,
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    voyage = await openVoyage(yard);
    const { bench } = voyage;
    bench.deps.actions = { ...bench.deps.actions, export: exporting(createStorage(s3, 'exports')) };
    desk = await openDesk(bench);
    sql = connect(bench.database.apiUrl, { max: 2 });
  });
  afterAll(async () => {
    s3.destroy();
    await Promise.all([desk.close(), sql.end(), server.stop()]);
    await voyage.close();
    await yard.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('tells each of it and who asked, without a secret, and verifies, also when he is erased', async () => {
    const { bench } = voyage;
    const { vault: sealing, providers, now } = bench.deps;
    const vault = createVault({ sql, wrapper: sealing.wrapper, environment: sealing.environment });
    const userId = await voyage.member();
    const { pnptv_uuid: uuid, pds_did, pds_handle } = await identityOf(bench, userId);
    const member = { userId, did: pds_did ?? ('' as never), handle: pds_handle ?? '', password: '' };
    const secrets = [await voyage.passwordOf(userId)];
    const change = async (
      operation: string,
      wanted: Pick<ChangeRequest, 'kind' | 'wish' | 'of'>,
      target: string | null = null,
    ) => {
      const stepUp = await desk.stepUp(userId, operation, target);
      const { queued } = await askForChange({ sql, now }, stepUp, wanted);
      expect(await voyage.workOn(queued ?? '')).toMatchObject({ status: 'completed' });
    };

    await change('rotateKeys', { kind: 'rotate_keys' });
    await change('renameHandle', { kind: 'rename', wish: { handle: `renamed.${DOMAIN}` } }, 'renamed');
    await change('revokeIdentity', { kind: 'revoke' });
    await change('reactivateIdentity', { kind: 'come_back', of: ['revoked', 'active'] });

    const apps = { sql, vault, providers, now, fetch, signal: new AbortController().signal };
    const stepUp = await desk.stepUp(userId, 'createAppPassword', { name: 'phone' });
    const { password } = await createAppPassword(apps, { stepUp, name: 'phone', privileged: false });
    await revokeAppPassword(apps, { userId, name: 'phone' });
    const reveal = await desk.stepUp(userId, 'revealCredentials', 'private_key');
    const revealed = await revealCredential({ sql, vault }, reveal, 'private_key');
    secrets.push(password, 'private_key' in revealed ? revealed.private_key : '');

    const made = await requestExport(
      { sql, vault, now },
      await desk.stepUp(userId, 'requestExport', 'data_and_keys'),
      'data_and_keys',
    );
    expect(await voyage.workOn(made.queued ?? '')).toMatchObject({ status: 'completed' });
    secrets.push(made.keysCode ?? '');

    const key = await newRecoveryKey();
    await desk.setKey(member, key);
    await desk.handOver(member, {
      endpoint: yard.two.remote.url,
      atprotoKey: key.did,
      handle: null,
      rotationKeys: [],
    });
    await desk.recoverCancel(member, key);

    await emptyProvider(bench.sql, { from: 'local', to: voyage.there, userId, limit: 1, now: now() });
    const [move] = await bench.sql<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'move'`;
    expect(await voyage.workOn(move.id)).toMatchObject({ status: 'completed' });
    expect((await identityOf(bench, userId)).pds_endpoint).toBe(yard.two.remote.url);
    secrets.push(await voyage.passwordOf(userId));

    const lived = await storyOf(uuid, userId);
    expect(lived).toEqual(LIFE);
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(10);
      expect(await tracesOf(desk.db, secret)).toEqual([]);
    }
    expect(await verifyLog(sql, { members: [uuid] })).toMatchObject({ members: 1, broken: null });

    await desk.deleteNow(member);
    for (let run = 0; run < 5; run += 1) {
      const [deletion] = await desk.db<{ id: string }[]>`
        SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'delete'`;
      // The account that he moved away from is looked at twice.
      voyage.skip(60_000);
      if (deletion) await voyage.perform(deletion.id);
    }
    expect(await desk.db`SELECT FROM users WHERE id = ${userId}`).toHaveLength(0);
    // What happened and when stays; whom it was about does not.
    expect(await storyOf(uuid, null)).toEqual([
      ...lived.map((entry) =>
        entry.replace(/^updated \w+/, 'updated').replace(/(member|recovery key)$/, 'nobody'),
      ),
      'updated pending by nobody',
      'orphan_settled success by system',
      'erased success by nobody',
    ]);
    expect(await verifyChain(await readChain(bench.sql, uuid))).toMatchObject({ intact: true });
    for (const gone of [userId, member.handle.split('.')[0] ?? '', key.did])
      expect(
        (await tracesOf(desk.db, gone)).filter((place) => place.startsWith('pds_provisioning_log')),
      ).toEqual([]);
    expect(await auditVerify('--database', bench.database.apiUrl)).toMatchObject({ code: 0 });
  }, 90_000);

  async function storyOf(uuid: string, userId: string | null): Promise<string[]> {
    const rows = await desk.db<{ what: string; by: string | null; key: boolean }[]>`
      SELECT concat_ws(' ', action, details->>'change', details->>'happened', status) AS what, created_by AS by,
        coalesce((details->>'by_recovery_key')::boolean, false) AS key
      FROM pds_provisioning_log WHERE pnptv_uuid = ${uuid} ORDER BY seq`;
    const by = (row: { by: string | null; key: boolean }) =>
      row.key ? 'recovery key' : row.by === null ? 'nobody' : row.by === userId ? 'member' : row.by;
    return rows.map((row) => `${row.what} by ${by(row)}`);
  }
});

const LIFE = [
  'backup_created success by system',
  'created success by system',
  'backup_created success by system',
  'backup_created success by system',
  'key_rotated success by member',
  'updated handle success by member',
  'revoked success by member',
  'updated status success by member',
  'app_password_created pending by member',
  'app_password_created success by member',
  'app_password_revoked pending by member',
  'app_password_revoked success by member',
  'credentials_revealed pending by member',
  'credentials_revealed success by member',
  // The export, with his keys in it.
  'credentials_revealed pending by member',
  'exported pending by member',
  'credentials_revealed success by member',
  'exported success by system',
  'recovery_key_changed success by member',
  // Leaving, which his recovery key took back.
  'handed_over pending by member',
  'updated hand_over success by recovery key',
  // An operator who empties a PDS.
  'moved pending by operator',
  'backup_created success by system',
  'backup_created success by system',
  'moved pending by operator',
  'moved success by operator',
];

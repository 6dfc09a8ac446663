import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApiHandler } from '../../../../lib/http/route.ts';
import * as contracts from '../../../../lib/lifecycle/api.ts';
import { provisioningLog } from '../../../../lib/pds/api.ts';
import { steppedUp } from '../../auth/stepped-up.ts';
import { type Call, call, ENCRYPTION_KEY, logIn, newcomer } from '../../http/app.ts';
import { openStage, type Stage } from '../../provisioning/stage.ts';
import { type Custody, openCustody } from './custody.ts';

/** The routes of a member's backups as they run: the functions, on a real PDS and a real queue. */
let stage: Stage;
let custody: Custody;
let handlers: Record<'createBackup' | 'listBackups' | 'restoreBackup' | 'provisioningLog', ApiHandler>;

beforeAll(async () => {
  stage = await openStage();
  custody = await openCustody(stage, ENCRYPTION_KEY);
  custody.setRouteEnvironment();
  handlers = {
    createBackup: (await import('../../../../functions/lifecycle/create-backup.ts')).handler,
    listBackups: (await import('../../../../functions/lifecycle/list-backups.ts')).handler,
    restoreBackup: (await import('../../../../functions/lifecycle/restore-backup.ts')).handler,
    provisioningLog: (await import('../../../../functions/pds/provisioning-log.ts')).handler,
  };
});
afterAll(async () => {
  await custody.close();
  await stage.close();
});

const CONTRACTS = { ...contracts, provisioningLog };
const ask = (operation: keyof typeof handlers, options: Call) =>
  call(handlers[operation], CONTRACTS[operation], options);

/** As if he had just shown his second factor in the one session that he has. */
const showSecondFactor = (userId: string, id: number) =>
  steppedUp(custody.db, userId, 'restoreBackup', String(id));
const restore = (cookie: string, id: number | string) =>
  ask('restoreBackup', { cookie, params: { id: String(id) } });

it('a member backs up, loses his password, restores, and sees all of it', async () => {
  const { userId, cookie } = await custody.loggedInMember();
  const { backup_id: id } = (await ask('createBackup', { cookie })).data;
  await custody.breakPassword(userId);
  expect((await restore(cookie, id)).error?.code).toBe('STEP_UP_REQUIRED');
  await showSecondFactor(userId, id);
  const { data } = await restore(cookie, id);
  expect(data).toMatchObject({ backup_id: id, recovery_backup_id: expect.any(Number) });
  expect(await custody.workOff()).toBe(1);
  const [identity] =
    await custody.db`SELECT verification_status FROM user_pds_mapping WHERE user_id = ${userId}`;
  expect(identity).toEqual({ verification_status: 'accessible' });

  const list = await ask('listBackups', { cookie });
  const [fresh, recovery, used, first] = list.data;
  expect(list.pagination).toEqual({ limit: 20, offset: 0, total: 4 });
  expect(used).toEqual({
    id,
    backup_type: 'manual',
    created_at: expect.any(String),
    expires_at: expect.any(String),
    is_used: true,
    used_at: data.restored_at,
    restorable: false,
    reason: 'used',
  });
  expect(recovery).toMatchObject({ id: data.recovery_backup_id, backup_type: 'recovery', restorable: true });
  for (const backup of [fresh, first])
    expect(backup).toMatchObject({
      backup_type: 'auto',
      is_used: false,
      used_at: null,
      restorable: true,
      reason: null,
    });
  const page = await ask('listBackups', { cookie, query: { limit: '1', offset: '2' } });
  expect(page.data).toEqual([used]);

  const log = (await ask('provisioningLog', { cookie })).data;
  expect(log.find(({ action }: { action: string }) => action === 'backup_restored')).toMatchObject({
    status: 'success',
    details: { backup_id: id, backup_type: 'manual', recovery_backup_id: data.recovery_backup_id },
  });
  await showSecondFactor(userId, id);
  expect((await restore(cookie, id)).error?.code).toBe('BACKUP_USED');
});

it('the list says which have expired; the newest has not', async () => {
  const { userId, cookie } = await custody.loggedInMember();
  await ask('createBackup', { cookie });
  await custody.db`UPDATE pds_credential_backups SET expires_at = now() - interval '1 day' WHERE user_id = ${userId}`;
  const { data } = await ask('listBackups', { cookie });
  expect(data).toMatchObject([
    { backup_type: 'manual', restorable: true, reason: null },
    { backup_type: 'auto', restorable: false, reason: 'expired' },
  ]);
  await showSecondFactor(userId, data[1].id);
  expect((await restore(cookie, data[1].id)).error?.code).toBe('BACKUP_EXPIRED');
});

it('nobody sees or restores the backups of another', async () => {
  const [owner, other] = [await custody.loggedInMember(), await custody.loggedInMember()];
  const { backup_id: id } = (await ask('createBackup', { cookie: owner.cookie })).data;
  const ids = (await ask('listBackups', { cookie: other.cookie })).data.map(
    (backup: { id: number }) => backup.id,
  );
  expect(ids).not.toContain(id);
  await showSecondFactor(other.userId, id);
  const foreign = await restore(other.cookie, id);
  expect([foreign.status, foreign.error?.code]).toEqual([404, 'BACKUP_NOT_FOUND']);
  expect((await ask('listBackups', {})).error?.code).toBe('SESSION_REQUIRED');
});

it.each(['0', '-1', '1.5', 'x', '1e3', '9'.repeat(16), ' 1', '1;DROP TABLE users'])(
  'an id that is none is refused: %j',
  async (id) => {
    const { error } = await restore(await logIn(), id);
    expect([error?.code, error?.fields]).toEqual(['INPUT_INVALID', ['id']]);
  },
);

it('a member who has nothing yet has an empty list, and nothing to restore', async () => {
  const user = newcomer();
  const cookie = await logIn(user);
  const list = await ask('listBackups', { cookie });
  expect([list.data, list.pagination]).toEqual([[], { limit: 20, offset: 0, total: 0 }]);
  await showSecondFactor(String(user.id), 1);
  expect((await restore(cookie, 1)).error?.code).toBe('BACKUP_NOT_FOUND');
});

it('a restore is tried five times an hour', async () => {
  const cookie = await logIn();
  for (let count = 0; count < 5; count += 1)
    expect((await restore(cookie, 1)).error?.code).toBe('STEP_UP_REQUIRED');
  const { status, headers } = await restore(cookie, 1);
  expect([status, Number(headers['retry-after'])]).toEqual([429, expect.any(Number)]);
});

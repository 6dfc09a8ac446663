import { connect } from '../../lib/db/connect.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { rotateDue, WIDTH } from '../../lib/lifecycle/rotate/rotate-due.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';
import { createKmsWrapper } from '../../lib/vault/kms-wrapper.ts';
import { createVault } from '../../lib/vault/vault.ts';
import { makeRotatable, manyPasswords } from '../integration/lifecycle/rotate/many-members.ts';
import { benchSettings, useGround } from './bench-worker.ts';
import type { Ground } from './ground.ts';
import { timed } from './measure.ts';

/** What the rotation of all members cost. */
export type RotationFigures = { members: number; kmsCalls: number; limit: number; tookMs: number };

const PROMISED_MEMBERS_A_CALL = 400;

/**
 * Rotates the keys of so many members, all due at once as after an incident, in a database of their own: by the very
 * function that does it every 15 minutes, with KMS over its wire protocol and a modelled PDS that lets us through its
 * limits. Throws unless everybody was rotated, once.
 */
export async function measureRotation(ground: Ground, members: number): Promise<RotationFigures> {
  useGround(ground);
  const urlOf = await ground.makeDatabase(`rotation_${members}`);
  const owner = connect(urlOf(), { max: 2 });
  const wrapper = createKmsWrapper(ground.kms.ensureKey('3f1d9b52-6c62-4f0e-9f5c-0d2f6c1f7a11'));
  const pds = manyPasswords('https://many.pds.test');
  await makeRotatable(
    { owner, vault: createVault({ sql: owner, wrapper, environment: 'bench' }), pds },
    members,
  );
  const worker = await openWorker(
    { ...benchSettings(ground), DATABASE_URL: urlOf('pds_worker') },
    {
      name: 'rotate-due-keys',
      service: 'lifecycle',
      actions: {},
      queueUrl: ground.sqs.queueUrl('provisioning'),
      backUpCredentials,
      width: WIDTH,
    },
  );
  let kmsCalls = 0;
  const counting: typeof wrapper = {
    ...wrapper,
    generateDataKey(...args) {
      kmsCalls += 1;
      return wrapper.generateDataKey(...args);
    },
    unwrap(...args) {
      kmsCalls += 1;
      return wrapper.unwrap(...args);
    },
  };
  const vault = createVault({ sql: worker.sql, wrapper: counting, environment: 'bench' });
  const deps = {
    ...worker,
    vault,
    backUp: (tx: Parameters<typeof worker.backUp>[0], userId: string) =>
      backUpCredentials({ tx, vault }, userId, 'auto'),
    fetch: pds.fetch,
    providers: [
      { id: 'local', endpoint: pds.url, weight: 1, adminPassword: 'model', rateLimitBypassKey: 'model' },
    ],
    metrics: { count: () => {}, took: () => {}, flush: () => {} },
  };
  try {
    let rotated = 0;
    const tookMs = await timed(async () => {
      rotated = (await rotateDue(deps, new Date(Date.now() + 600_000))).rotated;
    });
    const [done] = await owner<[{ count: number }]>`
      SELECT count(*)::int FROM user_pds_mapping WHERE credential_version = 2 AND next_key_rotation > now()`;
    if (rotated !== members || done.count !== members)
      throw new Error(`of ${members} members ${rotated} were rotated, and ${done.count} have new keys`);
    const limit = Math.floor(members / PROMISED_MEMBERS_A_CALL);
    return { members, kmsCalls, limit, tookMs };
  } finally {
    await Promise.all([owner.end(), worker.sql.end()]);
  }
}

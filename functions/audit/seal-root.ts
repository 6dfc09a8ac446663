import { KMSClient } from '@aws-sdk/client-kms';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { storeRoot } from '../../lib/audit/inclusion.ts';
import { createKmsSigner } from '../../lib/audit/kms-signer.ts';
import { sealRoot } from '../../lib/audit/root.ts';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { openLog } from '../../lib/observability/log.ts';

const settings = await readSettings([
  'DATABASE_URL',
  'PDS_ENVIRONMENT',
  'AUDIT_SIGNING_KEY_ID',
  'AUDIT_ROOTS_BUCKET',
]);
const log = openLog('seal-root');
const sql = connect(settings.DATABASE_URL, { applicationName: 'seal-root' });
const awake = wakeAfterFreeze(sql);
const sign = createKmsSigner(new KMSClient({}), settings.AUDIT_SIGNING_KEY_ID);
const s3 = new S3Client({});

/**
 * Daily: seals the heads of all chains and puts them where nobody can take them away again; then a copy to where members
 * download their log from. When that fails, the run is repeated and makes another root: one too many does no harm.
 */
export async function handler(): Promise<{ key: string; members: number; entries: number }> {
  await awake();
  const root = await sealRoot({ sql, sign, now: () => new Date() }, settings.PDS_ENVIRONMENT);
  const { created_at, members, entries } = root;
  const key = `roots/${created_at.replaceAll(':', '-')}.json`;
  await s3.send(
    new PutObjectCommand({
      Bucket: settings.AUDIT_ROOTS_BUCKET,
      Key: key,
      Body: JSON.stringify(root),
      ContentType: 'application/json',
      IfNoneMatch: '*',
    }),
  );
  await sql.begin((tx) => storeRoot(tx, root));
  log.info('audit root sealed', { key, members, entries, root: root.root });
  return { key, members, entries };
}

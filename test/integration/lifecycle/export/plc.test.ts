import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import { readLiveKeys } from '../../../../infra/local/export-verify/live-keys.ts';
import { verifyArchive } from '../../../../infra/local/export-verify/verify-archive.ts';
import { identityOf, openStage, type Stage } from '../../provisioning/stage.ts';
import { type ExportBench, openExportBench } from './export-bench.ts';

let plc: Plc;
let stage: Stage;
let bench: ExportBench;
beforeAll(async () => {
  plc = await startPlc();
  stage = await openStage({ plcUrl: plc.url });
  bench = await openExportBench(stage);
  bench.bench.deps.naming.didMethod = 'plc';
});
afterAll(async () => {
  await bench.close();
  await stage.close();
  await plc.stop();
});

it('an export of a did:plc holds its log, and bears the signature of a key that the log publishes', async () => {
  const userId = await bench.member();
  await bench.post(userId);
  const { exportId, queued = '', keysCode } = await bench.request(userId, 'data_and_keys');
  await bench.finish(queued);
  const { pds_did, rotation_public_key } = await identityOf(bench.bench, userId);
  const live = (did: string) => readLiveKeys({ fetch, plcUrl: plc.url }, did);
  const file = await bench.fileOf(exportId);
  const verified = await verifyArchive(file, {
    code: keysCode ?? '',
    live,
    key: `did:key:${rotation_public_key}`,
  });
  expect(verified).toMatchObject({
    manifest: { did: pds_did, signature: { public_key_multibase: rotation_public_key } },
    repository: { records: 1, blobs: 1 },
    keys: { rotation_key: { did_key: `did:key:${rotation_public_key}` } },
  });
  expect(verified.manifest.entries.map(({ name }) => name)).toContain('plc-log.json');
});

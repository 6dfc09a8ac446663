import { connect } from '../../lib/db/connect.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import { performWork } from '../../lib/provisioning/work.ts';
import { makeBareAccount } from './bare-account.ts';
import { newcomer, openBenchWorker, uniqueName } from './bench-worker.ts';
import { DOMAIN, type Ground } from './ground.ts';
import { inTurn, timed } from './measure.ts';

/**
 * One identity by the bare PDS calls, one by our worker, in turn. Ours runs from the message to the active identity:
 * claim, keys, sealing under KMS, every step stored, hostnames, backup, audit, first check enqueued and sent.
 */
export async function measureProvisioning(ground: Ground, rounds: number) {
  const { pds, hosts } = ground;
  const worker = await openBenchWorker(ground);
  const api = connect(ground.apiUrl);
  try {
    await storeProviders(worker.sql, worker.providers);
    return await inTurn(
      { rounds, warmUp: 3 },
      () => makeBareAccount(pds, hosts, { name: uniqueName('bare'), domain: DOMAIN }),
      async (round) => {
        const queueId = await newcomer(api, String(700_000_000 + round));
        return timed(async () => {
          const result = await performWork(worker, queueId);
          if (result !== 'done') throw new Error(`provisioning ended as ${result}`);
        });
      },
    );
  } finally {
    worker.sqs.destroy();
    await Promise.all([worker.sql.end(), api.end()]);
  }
}

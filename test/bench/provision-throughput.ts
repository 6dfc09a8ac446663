import { connect } from '../../lib/db/connect.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import { performWork } from '../../lib/provisioning/work.ts';
import { makeBareAccount } from './bare-account.ts';
import { newcomer, openBenchWorker, uniqueName } from './bench-worker.ts';
import { DOMAIN, type Ground } from './ground.ts';
import { inTurn, timed } from './measure.ts';

/** As many as the facts about the PDS were measured with. */
export const AT_ONCE = 8;
/** How many accounts a round makes. */
export const A_ROUND = 24;

/**
 * Milliseconds for `A_ROUND` accounts, `AT_ONCE` at a time: by the bare PDS calls, and by as many workers, each with
 * connections of its own, as a Lambda's processes have them. In turn, before the same PDS.
 */
export async function measureThroughput(ground: Ground, rounds: number) {
  const { pds, hosts } = ground;
  const workers = await Promise.all(Array.from({ length: AT_ONCE }, () => openBenchWorker(ground)));
  const [first] = workers;
  if (!first) throw new Error('there is no worker');
  const api = connect(ground.apiUrl);
  try {
    await storeProviders(first.sql, first.providers);
    return await inTurn(
      { rounds, warmUp: 1 },
      () =>
        timed(() =>
          sideBySide(
            Array.from({ length: A_ROUND }, () => uniqueName('bare')),
            (name) => makeBareAccount(pds, hosts, { name, domain: DOMAIN }),
          ),
        ),
      async (round) => {
        const queueIds: string[] = [];
        for (let n = 0; n < A_ROUND; n += 1) {
          queueIds.push(await newcomer(api, String(720_000_000 + round * A_ROUND + n)));
        }
        // A round is more than a PDS's limit allows in its time; this one has none.
        await first.sql`UPDATE pds_providers SET creations = '{}'`;
        return timed(() =>
          sideBySide(queueIds, async (queueId, place) => {
            const result = await performWork(workers[place] ?? first, queueId);
            if (result !== 'done') throw new Error(`provisioning ended as ${result}`);
          }),
        );
      },
    );
  } finally {
    for (const { sqs } of workers) sqs.destroy();
    await Promise.all([...workers.map(({ sql }) => sql.end()), api.end()]);
  }
}

/** Takes the items one after another, in `AT_ONCE` places. */
async function sideBySide<Item>(
  items: readonly Item[],
  work: (item: Item, place: number) => Promise<unknown>,
): Promise<void> {
  const left = items.values();
  const workAt = async (place: number) => {
    for (const item of left) await work(item, place);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, place) => workAt(place)));
}

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Pds, type PdsOptions, pdsAdmin, startPds } from '../../../infra/local/atproto/pds.ts';
import { createInviteCode } from '../../../lib/pds/client/admin.ts';
import type { Provider } from '../../../lib/pds/provider.ts';
import { storeProviders } from '../../../lib/pds/providers.ts';
import { rankProviders } from '../../../lib/pds/rendezvous.ts';
import type { Fault } from './faulty.ts';
import { faultyNetwork } from './faulty.ts';
import { PROMPT_PDS } from './prompt-pds.ts';
import { type Bench, DOMAIN, type Member, openBench, openStage, type Stage, sqlAsOwner } from './stage.ts';

/** Two real PDSs: ours, and one of somebody else's that asks for invites. */
export type TwoPds = Stage & {
  remote: Pds;
  restartRemote(): Promise<void>;
  /** The providers as hybrid mode has them: the admin password of ours, an invite code of the other. */
  providers(changes?: { local?: Partial<Provider>; remote?: Partial<Provider> }): Promise<Provider[]>;
};

export async function openTwoPds(options: Partial<PdsOptions> = {}): Promise<TwoPds> {
  const stage = await openStage(options);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'saga-remote-'));
  const { url: gatewayUrl } = stage.gateway;
  const remoteOptions = {
    dir,
    plcUrl: stage.plcUrl,
    handleDomain: 'elsewhere.test',
    gatewayUrl,
    domain: DOMAIN,
    inviteRequired: true,
    preload: PROMPT_PDS,
    ...(options.appView && { appView: true }),
  };
  const remote = await startPds(remoteOptions);
  const { close } = stage;
  const two = Object.assign(stage, {
    remote,
    async restartRemote() {
      two.remote = await startPds({ ...remoteOptions, port: remote.port });
    },
    async providers(changes: { local?: Partial<Provider>; remote?: Partial<Provider> } = {}) {
      const inviteCode = await createInviteCode(pdsAdmin(two.remote), { uses: 1000 });
      return [
        {
          id: 'local',
          endpoint: stage.pds.url,
          weight: 1,
          adminPassword: stage.pds.adminPassword,
          ...changes.local,
        },
        { id: remoteId(two), endpoint: two.remote.url, weight: 1, inviteCode, ...changes.remote },
      ];
    },
    async close() {
      two.remote.resume();
      await Promise.all([two.remote.stop(), close()]);
      rmSync(dir, { recursive: true, force: true });
    },
  });
  return two;
}

export const remoteId = ({ remote }: Pick<TwoPds, 'remote'>) => `remote:${new URL(remote.url).host}`;

/** A bench in hybrid mode. */
export async function openHybrid(two: TwoPds, changes?: Parameters<TwoPds['providers']>[0]): Promise<Bench> {
  return openBench(two, { providers: await two.providers(changes) });
}

/** A newcomer whose first provider this is. */
export async function memberOf(bench: Bench, providerId: string): Promise<Member> {
  let uuid = randomUUID();
  while (rankProviders(bench.deps.providers, uuid)[0]?.id !== providerId) uuid = randomUUID();
  const member = await bench.member();
  await sqlAsOwner(bench.database, async (owner) => {
    await owner`UPDATE user_pds_mapping SET pnptv_uuid = ${uuid} WHERE user_id = ${member.userId}`;
    await owner`UPDATE pds_provisioning_queue SET pnptv_uuid = ${uuid} WHERE user_id = ${member.userId}`;
  });
  return member;
}

/** Other providers than those that the bench began with, as a worker finds them that starts now. */
export async function useProviders(bench: Bench, providers: readonly Provider[]): Promise<void> {
  Object.assign(bench.deps, { providers });
  await storeProviders(bench.sql, providers);
}

/** Faults of the network between the worker and one of the two; `asked` counts what that one was asked. */
export function faultyTo({ url }: Pds, fault: Fault) {
  const network = faultyNetwork(fault);
  const throughIt: typeof fetch = (input, init) =>
    String(input).startsWith(url) ? network.fetch(input, init) : fetch(input, init);
  return { ...network, fetch: throughIt };
}

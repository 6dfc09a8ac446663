import { onLoopbackOnly, serveAsChild } from '../process/node-child.ts';
import { reachMemberHosts } from './member-fetch.ts';
import type { PdsProcessInput } from './pds.ts';

serveAsChild<PdsProcessInput>(async ({ memberHosts, environment }) => {
  reachMemberHosts(memberHosts);
  // Only now: whatever the PDS takes from the process while it loads is already ours.
  const { PDS, envToCfg, envToSecrets } = await import('@atproto/pds');
  const pds = await PDS.create(envToCfg(environment), envToSecrets(environment));
  onLoopbackOnly(pds.app);
  return { server: await pds.start(), stop: () => pds.destroy() };
});

import { reachMemberHosts } from '../atproto/member-fetch.ts';

// Loaded into every Lambda process as `member-hosts.ts?domain=…&gateway=…`: on AWS, DNS knows these names.
const { searchParams } = new URL(import.meta.url);
reachMemberHosts({
  domain: searchParams.get('domain') ?? '',
  gatewayUrl: searchParams.get('gateway') ?? '',
});

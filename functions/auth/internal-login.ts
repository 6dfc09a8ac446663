import { followArrival } from '../../lib/auth/answer-login.ts';
import { internalLogin } from '../../lib/auth/api.ts';
import { admitBackend } from '../../lib/auth/backend-signature.ts';
import { bringMember } from '../../lib/auth/bring-member.ts';
import { openDoor } from '../../lib/auth/open-door.ts';
import { route } from '../../lib/http/route.ts';

const { settings, members, arrivals, ...api } = await openDoor(['INTERNAL_API_KEYS']);
const admit = admitBackend({ keys: settings.INTERNAL_API_KEYS, now: () => new Date() });

export const handler = route(internalLogin, { ...api, admit }, async ({ body, signature, log }) => {
  const { code, ...arrival } = await bringMember(members, { profile: body, signature });
  await followArrival(arrivals, log, arrival);
  return { pds: arrival.identity, code: code.token, expires_at: code.expiresAt.toISOString() };
});

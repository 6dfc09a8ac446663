import { internalLogin } from '../../lib/auth/api.ts';
import { followArrival } from '../../lib/auth/login/answer-login.ts';
import { admitBackend } from '../../lib/auth/login/backend-signature.ts';
import { bringMember } from '../../lib/auth/login/bring-member.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { route } from '../../lib/http/route.ts';

const { settings, members, arrivals, ...api } = await openDoor(['INTERNAL_API_KEYS']);
const admit = admitBackend({ keys: settings.INTERNAL_API_KEYS, now: () => new Date() });

export const handler = route(internalLogin, { ...api, admit }, async ({ body, signature, log }) => {
  const { code, ...arrival } = await bringMember(members, { profile: body, signature });
  await followArrival(arrivals, log, arrival);
  return { pds: arrival.identity, code: code.token, expires_at: code.expiresAt.toISOString() };
});

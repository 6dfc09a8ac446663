import { exchangeCode, internalLogin } from '../../../lib/auth/api.ts';
import { signBackendRequest } from '../backend.ts';
import { ask, type Door, dataOf, enteredByCookie, postJson } from './door.ts';

/** Brings the member as a backend of one's own does, and makes a session of the code. */
export const backend: Door = async ({ url, internalApiKey }, { id: telegramId, ...known }) => {
  const { method, path } = internalLogin;
  const body = JSON.stringify({ telegramId, ...known });
  const signature = signBackendRequest(internalApiKey, { method, path, body });
  const headers = { 'content-type': 'application/json', ...signature };
  const { code } = await dataOf<{ code: string }>(await ask(`${url}${path}`, { method, headers, body }));
  return enteredByCookie(await postJson(`${url}${exchangeCode.path}`, { code }));
};

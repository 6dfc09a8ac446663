import { AppError } from '../../lib/app-error.ts';
import { useLoginLink } from '../../lib/auth/api.ts';
import { answerLogin } from '../../lib/auth/login/answer-login.ts';
import { logInWithToken } from '../../lib/auth/login/login-token.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { readSessionToken } from '../../lib/auth/session/session-cookie.ts';
import { route } from '../../lib/http/route.ts';

const { members, arrivals, ...api } = await openDoor();

export const handler = route(useLoginLink, api, async (request) => {
  const { params, userAgent, cookies, log } = request;
  const wanted = {
    token: params.token,
    kind: 'link',
    userAgent,
    replaces: readSessionToken(cookies),
  } as const;
  try {
    await answerLogin(arrivals, request, await logInWithToken(members, wanted));
    return { location: '/' };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'LOGIN_TOKEN_INVALID') throw error;
    // A person is looking at this: the page of the link says what is wrong with it.
    log.info('login link refused', { code: error.code });
    return { location: `/api/auth/link/${encodeURIComponent(params.token)}` };
  }
});

// The plain page of the local platform: log in, watch the steps, see the identity.
const STEPS = [
  ['requested', 'Login accepted'],
  ['reserved', 'Name and keys chosen, sealed and stored'],
  ['account_created', 'Account created on the Personal Data Server'],
  ['identity_published', 'DID document published'],
  ['activated', 'Account activated'],
  ['secured', 'Tokens sealed, backup written'],
];
const POLL_MS = 400;
/** After this time of waiting, the page says that it need not be watched. */
const PATIENCE_MS = 5_000;
/** How long after a failure the page asks again. */
const RETRY_MS = 4_000;

/** What a login with OpenID Connect that failed came back with. */
const LOGIN_ERRORS = {
  LOGIN_REFUSED: 'Telegram did not confirm this login.',
  LOGIN_STATE_INVALID: 'This login was begun elsewhere, too long ago, or is done already.',
  UNAVAILABLE: 'Telegram does not answer at the moment.',
};

let timer;
let pendingSince;

const $ = (id) => document.getElementById(id);
const later = (step, ms) => {
  clearTimeout(timer);
  timer = setTimeout(step, ms);
};
const show = (id, visible) => $(id).toggleAttribute('hidden', !visible);

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { 'content-type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  }).catch(() => {
    throw new Error('The platform does not answer. This page goes on by itself when it is back.');
  });
  const answer = await response.json().catch(() => ({}));
  if (answer.success) return answer.data;
  throw Object.assign(new Error(answer.error?.message ?? `The server answered ${response.status}.`), {
    status: response.status,
  });
}

function renderSteps(info) {
  const done = STEPS.findIndex(([step]) => step === info.provisioning_step);
  $('steps').replaceChildren(
    ...STEPS.map(([, text], index) => {
      const item = document.createElement('li');
      item.textContent = text;
      if (index <= done) item.className = 'done';
      else if (index === done + 1 && info.status === 'pending') item.className = 'doing';
      return item;
    }),
  );
}

const HEADLINES = {
  pending: 'Making your identity…',
  active: 'This identity is yours',
  error: 'That did not work yet',
  revoked: 'This identity is switched off',
  disabled: 'New identities are switched off at the moment',
};

function renderIdentity(info) {
  $('handle').textContent = info.pds_handle;
  $('did').textContent = info.pds_did;
  $('endpoint').textContent = info.pds_endpoint;
  $('verification').textContent = info.verification_status;
  const handleHost = info.pds_handle.slice(1);
  const didHost = info.pds_did.startsWith('did:web:') && info.pds_did.replace('did:web:', '');
  $('commands').textContent = [
    `curl -H 'Host: ${handleHost}' ${location.origin}/.well-known/atproto-did`,
    didHost
      ? `curl -H 'Host: ${didHost}' ${location.origin}/.well-known/did.json`
      : `curl -b cookies.txt ${location.origin}/api/pds/rotation-key`,
    `curl '${info.pds_endpoint}/xrpc/com.atproto.repo.describeRepo?repo=${info.pds_did}'`,
  ].join('\n');
}

function render(info) {
  $('headline').textContent = HEADLINES[info.status];
  renderSteps(info);
  pendingSince = info.status === 'pending' ? (pendingSince ?? Date.now()) : undefined;
  show('patience', Date.now() - pendingSince > PATIENCE_MS);
  show('trouble', Boolean(info.error));
  if (info.error) $('trouble').textContent = info.error.message;
  show('retry', info.status === 'error');
  show('identity', info.status === 'active');
  if (info.status === 'active') renderIdentity(info);
}

async function watch() {
  try {
    const info = await call('GET', '/api/pds/info');
    show('problem', false);
    render(info);
    const settled =
      info.status === 'active' ? info.verification_status !== 'unknown' : info.status !== 'pending';
    if (!settled) later(watch, POLL_MS);
  } catch (error) {
    later(watch, RETRY_MS);
    failed(error);
  }
}

function failed(error) {
  if (error.status === 401) welcome();
  else problem(error);
}

/** Says what went wrong. Trouble that passes by itself is over when the page is answered again. */
function problem(error) {
  $('problem').textContent = error.message;
  show('problem', true);
  if (!(error.status < 500)) later(begin, RETRY_MS);
}

/** Whoever was in until now is told that he is not any more. */
function welcome() {
  clearTimeout(timer);
  if (!$('member').hidden) show('logged-out', true);
  show('problem', false);
  show('welcome', true);
  show('member', false);
}

function enter({ member, pds }) {
  show('welcome', false);
  show('member', true);
  $('name').textContent = member.first_name ?? member.username ?? member.id;
  render(pds);
  watch();
}

function begin() {
  return call('GET', '/api/auth/session').then(enter, failed);
}

$('log-in').addEventListener('click', () => {
  window.open('/telegram.html', 'telegram', 'popup,width=420,height=520');
});
$('log-in-openid').addEventListener('click', () => {
  location.assign(`/api/auth/telegram/start?return_to=${encodeURIComponent(location.pathname)}`);
});
window.addEventListener('message', async ({ origin, data }) => {
  if (origin !== location.origin || data?.event !== 'auth_result') return;
  try {
    show('problem', false);
    enter(await call('POST', '/api/auth/telegram/widget', data.result));
  } catch (error) {
    problem(error);
  }
});
$('log-out').addEventListener('click', () => call('POST', '/api/auth/logout').then(welcome, failed));
$('retry').addEventListener('click', () => call('POST', '/api/pds/retry-provision').then(watch, failed));

const loginError = new URLSearchParams(location.search).get('login_error');
if (loginError) history.replaceState(null, '', location.pathname);
begin().then(() => {
  if (!loginError || $('welcome').hidden) return;
  problem({
    status: 401,
    message: `${LOGIN_ERRORS[loginError] ?? 'That login did not work.'} Log in again.`,
  });
});

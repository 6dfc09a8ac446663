import { randomBytes } from 'node:crypto';
import { Secp256k1Keypair } from '@atproto/crypto';

/** Serves one DID document and one handle under the members' domain, from memory. */
export type BareHosts = { publish(host: string, body: string): void };

/**
 * The yardstick: what any script must ask of a PDS to make a did:web account, in a row and with nothing around it:
 * no custody, no queue, no database. Returns the milliseconds from the first key to the active account.
 */
export async function makeBareAccount(
  pds: { url: string; did: string },
  hosts: BareHosts,
  { name, domain }: { name: string; domain: string },
): Promise<number> {
  const started = performance.now();
  const handle = `${name}.${domain}`;
  const didHost = `${name}-bare.${domain}`;
  const did = `did:web:${didHost}`;
  const bootstrap = await Secp256k1Keypair.create();
  hosts.publish(`${handle}/.well-known/atproto-did`, did);
  publishDocument(hosts, didHost, { did, handle, didKey: bootstrap.did() });

  const account = await call<{ accessJwt: string }>(pds.url, 'com.atproto.server.createAccount', {
    token: await serviceJwt(bootstrap, did, pds.did),
    input: { did, handle, email: `${name}@bare.test`, password: randomBytes(24).toString('base64url') },
  });
  const token = account.accessJwt;
  const recommended = await call<{ verificationMethods: { atproto: string } }>(
    pds.url,
    'com.atproto.identity.getRecommendedDidCredentials',
    { token },
  );
  publishDocument(hosts, didHost, {
    did,
    handle,
    didKey: recommended.verificationMethods.atproto,
    endpoint: pds.url,
  });
  const state = await call<{ validDid: boolean }>(pds.url, 'com.atproto.server.checkAccountStatus', {
    token,
  });
  if (!state.validDid) throw new Error('the PDS does not accept the bare DID document');
  await call(pds.url, 'com.atproto.server.activateAccount', { token, input: {} });
  return performance.now() - started;
}

function publishDocument(
  hosts: BareHosts,
  host: string,
  { did, handle, didKey, endpoint }: { did: string; handle: string; didKey: string; endpoint?: string },
): void {
  const publicKeyMultibase = didKey.replace('did:key:', '');
  const service = { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: endpoint };
  const document = {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase }],
    service: endpoint ? [service] : [],
  };
  hosts.publish(`${host}/.well-known/did.json`, JSON.stringify(document));
}

async function serviceJwt(key: Secp256k1Keypair, issuer: string, audience: string): Promise<string> {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const seconds = Math.floor(Date.now() / 1000);
  const header = { typ: 'JWT', alg: key.jwtAlg };
  const lxm = 'com.atproto.server.createAccount';
  const claims = {
    iss: issuer,
    aud: audience,
    lxm,
    iat: seconds,
    exp: seconds + 60,
    jti: randomBytes(16).toString('hex'),
  };
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${Buffer.from(await key.sign(Buffer.from(signed))).toString('base64url')}`;
}

async function call<Answer>(
  pdsUrl: string,
  nsid: string,
  { token, input }: { token: string; input?: object },
): Promise<Answer> {
  const hasBody = input !== undefined && Object.keys(input).length > 0;
  const response = await fetch(`${pdsUrl}/xrpc/${nsid}`, {
    method: input ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, ...(hasBody && { 'content-type': 'application/json' }) },
    body: hasBody ? JSON.stringify(input) : undefined,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${nsid} answered ${response.status}: ${text.slice(0, 200)}`);
  return (text ? JSON.parse(text) : undefined) as Answer;
}

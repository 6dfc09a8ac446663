import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { readPrivateFile, writePrivateFile } from '../process/private-file.ts';
import { AwsError } from './aws-json.ts';

export type KeySpec = 'SYMMETRIC_DEFAULT' | 'ECC_NIST_P256';

export type KmsKey = {
  id: string;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  description: string;
  /** Seconds since 1970, as the protocol has them. */
  created: number;
  deletion?: number;
  /** Absent: SYMMETRIC_DEFAULT. */
  spec?: KeySpec;
  /** In base64: 32 bytes, or a private key (DER, PKCS #8). */
  material: string;
};

type State = { keys: Record<string, KmsKey>; aliases: Record<string, string> };

export type KmsKeys = ReturnType<typeof openKmsKeys>;

const ALIAS = /^alias\/[\w/-]{1,250}$/;

/**
 * The keys of the local KMS. With a `file` (mode 0600) they survive a restart: losing it loses every sealed value.
 * Without one they live as long as the process.
 */
export function openKmsKeys(options: { file?: string; region?: string; account?: string } = {}) {
  const { file, region = 'us-east-1', account = '000000000000' } = options;
  const state = (file && readPrivateFile<State>(file)) || { keys: {}, aliases: {} };
  const save = () => file && writePrivateFile(file, JSON.stringify(state, null, 2));
  const arn = (resource: string) => `arn:aws:kms:${region}:${account}:${resource}`;

  /** By id, ARN, alias or the ARN of an alias. */
  function find(reference: string): KmsKey {
    const resource = reference.startsWith('arn:') ? reference.split(':').slice(5).join(':') : reference;
    const isAlias = resource.startsWith('alias/');
    const id = isAlias ? state.aliases[resource] : resource.replace(/^key\//, '');
    const key = id !== undefined && Object.hasOwn(state.keys, id) ? state.keys[id] : undefined;
    if (!key) {
      const message = isAlias
        ? `Alias ${arn(resource)} is not found.`
        : `Key '${arn(`key/${id}`)}' does not exist`;
      throw new AwsError('NotFoundException', message);
    }
    return key;
  }

  /** Like `find`, for a key that is to encrypt or decrypt. */
  function findUsable(reference: string): KmsKey {
    const key = find(reference);
    if (key.state === 'Disabled')
      throw new AwsError('DisabledException', `${arn(`key/${key.id}`)} is disabled.`);
    if (key.state === 'PendingDeletion') {
      throw new AwsError('KMSInvalidStateException', `${arn(`key/${key.id}`)} is pending deletion.`);
    }
    return key;
  }

  function create(
    id: string = randomUUID(),
    { description = '', spec = 'SYMMETRIC_DEFAULT' }: { description?: string; spec?: KeySpec } = {},
  ): KmsKey {
    const material = newMaterial(spec).toString('base64');
    const key: KmsKey = { id, state: 'Enabled', description, created: Date.now() / 1000, spec, material };
    state.keys[id] = key;
    save();
    return key;
  }

  function change(key: KmsKey, changes: Partial<KmsKey>): KmsKey {
    Object.assign(key, changes);
    save();
    return key;
  }

  function createAlias(name: string, target: string): void {
    if (!ALIAS.test(name)) throw new AwsError('InvalidAliasNameException', `${name} is no name for an alias`);
    if (Object.hasOwn(state.aliases, name)) {
      throw new AwsError('AlreadyExistsException', `An alias with the name ${arn(name)} already exists`);
    }
    state.aliases[name] = find(target).id;
    save();
  }

  /** Makes the key with this id unless it is there, and points the alias to it. Returns its ARN. */
  function ensureKey(id: string, alias?: string, spec?: KeySpec): string {
    if (!Object.hasOwn(state.keys, id)) create(id, { spec });
    if (alias && state.aliases[alias] !== id) {
      state.aliases[alias] = id;
      save();
    }
    return arn(`key/${id}`);
  }

  return { account, arn, find, findUsable, create, change, createAlias, ensureKey };
}

function newMaterial(spec: KeySpec): Buffer {
  if (spec === 'SYMMETRIC_DEFAULT') return randomBytes(32);
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'der',
    type: 'pkcs8',
  });
}

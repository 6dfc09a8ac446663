import { createHash } from 'node:crypto';
import * as z from 'zod';
import { kind } from './cloud.ts';

/** AWS::KMS::Key, symmetric or for signing. Its id follows from its place in the template, so that a restart finds the same key. */
const key = kind(
  {
    KeySpec: z.enum(['SYMMETRIC_DEFAULT', 'ECC_NIST_P256']).default('SYMMETRIC_DEFAULT'),
    KeyUsage: z.enum(['ENCRYPT_DECRYPT', 'SIGN_VERIFY']).optional(),
  },
  ['KeyPolicy', 'EnableKeyRotation', 'RotationPeriodInDays', 'PendingWindowInDays', 'Enabled', 'MultiRegion'],
  async (cloud, { stack, logicalId }, { KeySpec }) => {
    const hash = createHash('sha256').update(`${stack.name}/${logicalId}`).digest('hex');
    const id = hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');
    return { ref: id, attributes: { Arn: cloud.kmsKeys.ensureKey(id, undefined, KeySpec), KeyId: id } };
  },
);

/** AWS::KMS::Alias. */
const alias = kind(
  { AliasName: z.string(), TargetKeyId: z.string() },
  [],
  async (cloud, _resource, properties) => {
    cloud.kmsKeys.ensureKey(cloud.kmsKeys.find(properties.TargetKeyId).id, properties.AliasName);
    return { ref: properties.AliasName };
  },
);

export const keyKinds = { 'AWS::KMS::Key': key, 'AWS::KMS::Alias': alias };

import * as z from 'zod';
import { boolean, kind, physicalName } from './cloud.ts';

/** AWS::S3::Bucket whose objects are locked: what is in it is never changed (aws/s3.ts). */
const bucket = kind(
  { BucketName: z.string().optional(), ObjectLockEnabled: boolean.pipe(z.literal(true)) },
  [
    'BucketEncryption',
    'ObjectLockConfiguration',
    'OwnershipControls',
    'PublicAccessBlockConfiguration',
    'VersioningConfiguration',
  ],
  async (cloud, resource, { BucketName }) => {
    const name = BucketName ?? physicalName(resource).toLowerCase();
    cloud.buckets.add(name);
    return { ref: name, attributes: { Arn: `arn:aws:s3:::${name}` } };
  },
);

export const bucketKinds = { 'AWS::S3::Bucket': bucket };

import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';

/**
 * Where the archives lie that members take with them. The clean-up removes each after 7 days (lib/lifecycle/export); what
 * it should ever forget ends by itself, and so does an upload that nobody goes on with. Nothing in it is worth a version.
 * @NOTE An object is as old as the beginning of its upload, and that may grow for 7 days before the 7 days of the archive
 * begin: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html ("Last-Modified").
 */
export function addExportsBucket(stack: Stack): Bucket {
  return new Bucket(stack, 'exports', {
    lifecycleRules: [
      { expiration: Duration.days(15), abortIncompleteMultipartUploadAfter: Duration.days(8) },
    ],
    encryption: BucketEncryption.S3_MANAGED,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    removalPolicy: RemovalPolicy.RETAIN,
  });
}

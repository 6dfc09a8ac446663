import { once } from './once.ts';

/** One client for all secrets: with one for each, every cold start would pay for several handshakes. */
const openClient = once(async () => {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient();
  return (arn: string) => client.send(new GetSecretValueCommand({ SecretId: arn }));
});

/**
 * Reads a secret's current string value from AWS Secrets Manager. The SDK is loaded only when there is a secret
 * to read, so a function whose settings are all plain does not pay for it.
 */
export async function readSecret(arn: string): Promise<string> {
  const get = await openClient();
  const { SecretString } = await get(arn);
  if (SecretString === undefined) throw new Error('the secret has no string value');
  return SecretString;
}

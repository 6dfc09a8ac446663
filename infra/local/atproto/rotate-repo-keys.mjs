// Runs `rotate-keys`, which @atproto/pds brings along but has no command for: README, "What is rotated, and what cannot
// be". Copied beside the PDS, it runs in the PDS's own environment: `node rotate-repo-keys.mjs DID…`.
import { AppContext, envToCfg, envToSecrets, readEnv, scripts } from '@atproto/pds';

const env = readEnv();
const context = await AppContext.fromConfig(envToCfg(env), envToSecrets(env));
await scripts['rotate-keys'](context, process.argv.slice(2));
process.exit();

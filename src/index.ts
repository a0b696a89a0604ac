export { createReplica } from '../replica/server.ts';
export {
  type Config,
  type ConfigInput,
  type ConfigSources,
  defineConfig,
  type LoadedConfig,
  loadConfig,
  resolveConfig,
} from './config.ts';
export { ERRORS, type ErrorCode, type ErrorDefinition, HoldfastError, isHoldfastError } from './errors.ts';
export { createGateway, type Gateway, type GatewayOptions } from './gateway.ts';

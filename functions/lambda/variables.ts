// Lambda puts no secret into a variable by itself: one that refers to a secret of Secrets Manager is resolved here, once, before anything asks for it. What does that is loaded only then.
import type { HostPorts } from '../host-runtime.ts'

/** The same ports; where a variable refers to a secret, with an environment in which it holds that secret. @throws as {@link resolvedVariables} does, which fails the initialisation; the platform repeats it with the next invocation */
export const withSecrets = async (ports: HostPorts): Promise<HostPorts> =>
  ports.env.names().some((name) => ports.env.get(name)?.startsWith('secret://')) ? { ...ports, env: await (await import('./resolve.ts')).resolved(ports) } : ports

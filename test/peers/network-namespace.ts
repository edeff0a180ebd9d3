// A network of its own for programs that listen on every interface: what runs in it has a loopback that nobody else is on, and ends with whoever began it.
import { run, type Running } from './python-peers.ts'

/** Who may not make one as he is, may as the root of a user namespace. */
const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user']

/** What `unshare` is called with, so that a command runs in one. */
export const inNamespace = (command: readonly string[]): readonly string[] => [...asRoot, '--net', '--pid', '--fork', '--kill-child', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...command]

/** Tries it. @throws when it is not permitted on this machine, or there is no unshare or ip */
export const tryNamespace = async (): Promise<Running> => {
  const seen = (await run('unshare', inNamespace(['ip', '-brief', 'link']), { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' })).trim()
  if (!/^lo +\S+ [^\n]*\bUP\b[^\n]*$/.test(seen)) throw new Error('its network has more, or less, than a loopback that is up')
  return { url: '', stop: async () => undefined }
}

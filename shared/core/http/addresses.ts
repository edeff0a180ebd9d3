// Which addresses may be dialled for a host that is not the operator's: none that leads inside, to a cloud's metadata, or to this machine.
// Every answer of the resolver must pass, because a name with one public and one private address is an attack, not an accident.
import { LatchkeyError } from '../errors.ts'

/** One address of a host. */
export interface Address {
  readonly address: string
  readonly family: number
}

/** Host → every address it has. */
export type Resolve = (host: string) => Promise<readonly Address[]>

/** As sockets take it. */
export type Lookup = NonNullable<import('node:net').TcpSocketConnectOpts['lookup']>

const inside = [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15',
  '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32', '100.100.100.200/32',
  '::/96', '2001::/32', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8', '2001:db8::/32',
]
/** Where clouds hand out credentials: never, whatever an operator allows. */
const metadata = ['169.254.169.254/32', '169.254.170.2/32', '169.254.170.23/32', 'fd00:ec2::254/128', 'fd00:ec2::23/128', '168.63.129.16/32', '100.100.100.200/32']

const listOf = (ranges: readonly string[]): import('node:net').BlockList => {
  const list = new (process.getBuiltinModule('node:net').BlockList)()
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/')
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

/** The eight groups of an IPv6 address. */
const groupsOf = (address: string): readonly number[] => {
  const dotted = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) => `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`)
  const [head = '', tail] = dotted.split('%')[0]?.split('::') ?? []
  const read = (text: string | undefined): number[] => (text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [front, back] = [read(head), read(tail)]
  return [...front, ...Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => 0), ...back]
}

/** The IPv4 addresses that an IPv6 one may lead to, by every way of writing one into it; `alone`: the address says nothing else. */
const embedded = (address: string): { readonly alone: boolean; readonly inner: readonly string[] } => {
  const groups = groupsOf(address)
  const at = (index: number): number => groups[index] ?? 0
  const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  const starts = (...prefix: readonly number[]): boolean => prefix.every((group, index) => groups[index] === group)
  const last = dotted(at(6), at(7))
  if (starts(0, 0, 0, 0, 0, 0xffff) || starts(0x64, 0xff9b, 0, 0, 0, 0)) return { alone: true, inner: [last] }
  if (starts(0x64, 0xff9b, 1)) {
    const either = [last, dotted(at(3), ((at(4) & 255) << 8) | (at(5) >> 8))].filter((address) => address !== '0.0.0.0')
    return { alone: true, inner: either.length > 0 ? either : ['0.0.0.0'] }
  }
  if (starts(0x2002)) return { alone: true, inner: [dotted(at(1), at(2))] }
  return { alone: false, inner: starts(0, 0, 0, 0, 0, 0) ? [last] : [] }
}

/** Whether an address may not be dialled for a host that is not the operator's. `allowed` (CIDR) opens private ranges, never metadata. What is no address is forbidden. */
export const isForbiddenAddress = (address: string, allowed: readonly string[] = []): boolean => {
  const bare = address.split('%')[0] ?? ''
  const version = process.getBuiltinModule('node:net').isIP(bare)
  if (version === 0) return true
  const { alone, inner } = version === 6 ? embedded(bare) : { alone: false, inner: [] }
  if (alone) return inner.some((one) => isForbiddenAddress(one, allowed))
  const family = version === 6 ? 'ipv6' : 'ipv4'
  if (listOf(metadata).check(bare, family) || inner.some((one) => listOf(metadata).check(one, 'ipv4'))) return true
  return listOf(inside).check(bare, family) && !listOf(allowed).check(bare, family)
}

const refusal = (setting: string): LatchkeyError => new LatchkeyError('provider_denied', `${setting} leads to a private, local or metadata address, which is not dialled for it. The operator may allow a private range for this endpoint.`)

/** For a host that is an address itself, which no resolver is asked for. @throws misconfigured for a range that is none, provider_denied */
export const refuseAddress = (host: string, allowed: readonly string[], setting: string): void => {
  try {
    listOf(allowed)
  } catch {
    throw new LatchkeyError('misconfigured', `${setting}: an allowed range is no CIDR such as 10.1.0.0/16.`)
  }
  if (process.getBuiltinModule('node:net').isIP(host) !== 0 && isForbiddenAddress(host, allowed)) throw refusal(setting)
}

const system: Resolve = (host) => process.getBuiltinModule('node:dns').promises.lookup(host, { all: true })

/** A resolver for sockets that answers only what was checked; without `allowed` everything passes. At most eight answers are believed. */
export const checkedLookup =
  (allowed: readonly string[] | undefined, setting: string, resolve: Resolve = system): Lookup =>
  (host, options, reply) => {
    resolve(host).then(
      (answers) => {
        if (allowed !== undefined && (answers.length > 8 || answers.some(({ address }) => isForbiddenAddress(address, allowed)))) return reply(refusal(setting), '', 0)
        const [first] = answers
        if (first === undefined) return reply(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '', 0)
        return options.all === true ? reply(null, answers.map(({ address, family }) => ({ address, family }))) : reply(null, first.address, first.family)
      },
      (error: unknown) => reply(error instanceof Error ? error : new Error('no address'), '', 0),
    )
  }

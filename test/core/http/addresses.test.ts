// Which addresses are dialled for a host that is not the operator's, and that what was checked is what is dialled.
import { describe, expect, it, onTestFinished } from 'vitest'
import { nodeHttp, type HttpPeer } from '../../../shared/core/http-client.ts'
import { checkedLookup, isForbiddenAddress, refuseAddress, type Address } from '../../../shared/core/http/addresses.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { answer, startWild } from './wild-server.ts'

const forbidden: readonly (readonly [string, readonly string[]])[] = [
  ['0.0.0.0/8', ['0.0.0.0', '0.255.255.255']],
  ['10/8', ['10.0.0.0', '10.255.255.255']],
  ['100.64/10', ['100.64.0.0', '100.127.255.255']],
  ['127/8', ['127.0.0.1', '127.255.255.255']],
  ['169.254/16', ['169.254.0.0', '169.254.169.254', '169.254.170.2', '169.254.255.255']],
  ['172.16/12', ['172.16.0.0', '172.31.255.255']],
  ['192.0.0/24', ['192.0.0.0', '192.0.0.255']],
  ['192.0.2/24', ['192.0.2.1']],
  ['192.88.99/24', ['192.88.99.1']],
  ['192.168/16', ['192.168.0.0', '192.168.255.255']],
  ['198.18/15', ['198.18.0.0', '198.19.255.255']],
  ['198.51.100/24', ['198.51.100.7']],
  ['203.0.113/24', ['203.0.113.7']],
  ['224/4', ['224.0.0.1', '239.255.255.255']],
  ['240/4', ['240.0.0.1', '255.255.255.255']],
  ['the clouds’ own', ['168.63.129.16', '100.100.100.200']],
  ['::/128 and ::1', ['::', '::1', '0:0:0:0:0:0:0:1']],
  ['::/96, an IPv4 address at its end', ['::8.8.8.8', '::a9fe:a9fe']],
  ['mapped', ['::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:10.0.0.1', '0:0:0:0:0:ffff:c0a8:1']],
  ['NAT64', ['64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b::10.0.0.1']],
  ['local NAT64, in either form', ['64:ff9b:1::10.0.0.1', '64:ff9b:1:a9fe:a9:fe00::', '64:ff9b:1:7f00:0:100::', '64:ff9b:1:7f00:0:100:8.8.8.8', '64:ff9b:1::']],
  ['6to4', ['2002:7f00:1::', '2002:a9fe:a9fe::1', '2002:0a00:0001::']],
  ['Teredo', ['2001::1', '2001:0:ffff::']],
  ['fc00::/7', ['fc00::1', 'fd00:ec2::254', 'fdff::1']],
  ['fe80::/10', ['fe80::1', 'fe80::1%eth0', 'febf::1']],
  ['fec0::/10', ['fec0::1', 'feff::1']],
  ['ff00::/8', ['ff02::1']],
  ['2001:db8::/32', ['2001:db8::1']],
  ['what is no address', ['', 'localhost', '127.1', '0x7f.1', '2130706433', '1.2.3.4.5', '::1::', 'fe80', '08.8.8.8']],
]
const open = ['8.8.8.8', '1.1.1.1', '100.63.255.255', '100.128.0.0', '172.15.255.255', '172.32.0.0', '169.253.255.255', '169.255.0.0', '192.0.1.0', '198.20.0.0', '223.255.255.255', '2606:4700::1111', '2a00::1', '2001:1::1', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '64:ff9b:1:808:8:800:8.8.8.8', '64:ff9b:1:808:8:800::', '64:ff9b:1::8.8.8.8', '2002:808:808::1']
const metadata = ['169.254.169.254', '169.254.170.2', '169.254.170.23', '168.63.129.16', '100.100.100.200', 'fd00:ec2::254', 'fd00:ec2::23', '::ffff:169.254.169.254', '::169.254.169.254', '64:ff9b::169.254.169.254', '64:ff9b:1:a9fe:a9:fe00::', '2002:a9fe:a9fe::']
const everything = ['0.0.0.0/0', '::/0']

describe('an address', () => {
  it.each(forbidden)('of %s is not dialled', (_, addresses) => {
    expect(addresses.filter((address) => !isForbiddenAddress(address))).toEqual([])
  })

  it.each(open)('of the open network is dialled: %s', (address) => {
    expect(isForbiddenAddress(address)).toBe(false)
  })

  it.each(metadata)('of a cloud’s metadata is not dialled whatever is allowed: %s', (address) => {
    expect(isForbiddenAddress(address, everything)).toBe(true)
  })

  it.each([
    ['10.1.2.3', '10.1.0.0/16'],
    ['127.0.0.1', '127.0.0.1/32'],
    ['::ffff:10.1.2.3', '10.1.0.0/16'],
    ['64:ff9b::10.1.2.3', '10.1.0.0/16'],
    ['fd12::1', 'fd12::/16'],
    ['::1', '::1/128'],
  ])('%s is dialled where %s is allowed, and not where another range is', (address, range) => {
    expect([isForbiddenAddress(address, [range]), isForbiddenAddress(address, ['192.168.0.0/16', 'fd99::/16'])]).toEqual([false, true])
  })
})

describe('an endpoint that is not the operator’s', () => {
  const connect = (more: Partial<HttpPeer>, resolve?: (host: string) => Promise<readonly Address[]>) => {
    const runtime = testRuntime({ hurries: true })
    return nodeHttp(runtime.clock, runtime.random, resolve).connect({ url: 'https://vault.example', title: 'The service', setting: 'service_url', addresses: { allowed: [] }, ...more })
  }

  it.each(['http://127.0.0.1', 'http://127.1', 'http://2130706433', 'http://0x7f000001', 'http://0177.0.0.1', 'http://①②⑦.0.0.1', 'http://127.0.0.1.', 'http://[::1]', 'http://[::ffff:127.0.0.1]', 'http://169.254.169.254', 'http://[fd00:ec2::254]', 'http://0'])('is refused as soon as it is named: %s', async (url) => {
    await expect(connect({ url })).rejects.toMatchObject({ code: 'provider_denied', message: expect.stringContaining('service_url') as string })
  })

  it('with a range that is none is misconfigured', () => {
    expect(() => refuseAddress('vault.example', ['10.0.0.0/64'], 'service_url')).toThrow(expect.objectContaining({ code: 'misconfigured' }))
    expect(() => refuseAddress('vault.example', ['all of them'], 'service_url')).toThrow(expect.objectContaining({ code: 'misconfigured' }))
    expect(() => refuseAddress('vault.example', ['10.0.0.0/8', 'fd00::/8'], 'service_url')).not.toThrow()
  })

  const dialling = async (answers: readonly (readonly string[])[], allowed: readonly string[] = []) => {
    const server = await startWild((socket) => socket.end(answer('200 OK', '{}', ['connection: close'])))
    const asked: string[] = []
    const runtime = testRuntime({ hurries: true })
    const resolve = async (host: string): Promise<readonly Address[]> => {
      asked.push(host)
      return (answers[Math.min(asked.length, answers.length) - 1] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    }
    const client = await nodeHttp(runtime.clock, runtime.random, resolve).connect({ url: `http://localhost:${server.port}`, title: 'The service', setting: 'service_url', addresses: { allowed } })
    onTestFinished(() => client.close())
    return { server, asked, send: () => client.send({ method: 'GET', path: '/' }, callOf(runtime.clock)) }
  }

  it('is dialled at the address that was checked, under its own name', async () => {
    const { send, server, asked } = await dialling([['127.0.0.1']], ['127.0.0.1/32'])

    const { status } = await send()

    expect([status, asked]).toEqual([200, ['localhost']])
    expect(server.requests[0]?.head.toLowerCase()).toContain(`host: localhost:${server.port}`)
  })

  it.each([
    ['one that leads inside', ['10.0.0.1']],
    ['one that leads inside beside one that does not', ['127.0.0.1', '10.0.0.1']],
    ['a link-local one with a zone', ['fe80::1%lo']],
    ['metadata', ['169.254.169.254']],
    ['something that is no address', ['vault.example']],
    ['more than eight', Array.from({ length: 9 }, () => '127.0.0.1')],
  ])('is not dialled where its name has %s', async (_, addresses) => {
    const { send, server, asked } = await dialling([addresses], ['127.0.0.1/32'])

    await expect(send()).rejects.toMatchObject({ code: 'provider_denied', message: expect.stringContaining('service_url') as string })
    expect([server.sockets.length, asked.length]).toEqual([0, 1])
  })

  it('is checked again for every connection: a name that changes its mind is caught', async () => {
    const { send, server } = await dialling([['127.0.0.1'], ['127.0.0.2'], ['169.254.169.254']], ['127.0.0.1/32'])
    await send()

    await expect(send()).rejects.toMatchObject({ code: 'provider_denied' })
    await expect(send()).rejects.toMatchObject({ code: 'provider_denied' })
    expect(server.requests).toHaveLength(1)
  })

  it('without any address is unavailable', async () => {
    const { send, asked } = await dialling([[]])

    await expect(send()).rejects.toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('its name has no address') as string })
    expect(asked).toHaveLength(3)
  })
})

describe('a resolver', () => {
  const looked = (allowed: readonly string[] | undefined, options: { all?: boolean }, resolve: (host: string) => Promise<readonly Address[]>): Promise<readonly unknown[]> =>
    new Promise((settle) => checkedLookup(allowed, 'service_url', resolve)('vault.example', options, (...answered) => settle(answered)))
  const two = async (): Promise<readonly Address[]> => [{ address: '8.8.8.8', family: 4 }, { address: '2606:4700::1111', family: 6 }]

  it('answers one address or all of them, as the socket asks', async () => {
    expect(await looked([], {}, two)).toEqual([null, '8.8.8.8', 4])
    expect(await looked([], { all: true }, two)).toEqual([null, [{ address: '8.8.8.8', family: 4 }, { address: '2606:4700::1111', family: 6 }]])
  })

  it('of the operator answers whatever there is', async () => {
    expect(await looked(undefined, {}, async () => [{ address: '10.0.0.1', family: 4 }])).toEqual([null, '10.0.0.1', 4])
  })

  it('that fails is no answer', async () => {
    const [error] = await looked([], {}, () => Promise.reject(Object.assign(new Error('EAI_AGAIN'), { code: 'EAI_AGAIN' })))
    const [other] = await looked([], {}, () => Promise.reject('no error at all' as unknown as Error))

    expect(error).toMatchObject({ code: 'EAI_AGAIN' })
    expect(other).toBeInstanceOf(Error)
  })

  it('is used for the operator’s own endpoint as well, where one is given', async () => {
    const server = await startWild((socket) => socket.end(answer('200 OK', '{}')))
    const runtime = testRuntime()
    const client = await nodeHttp(runtime.clock, runtime.random, async () => [{ address: '127.0.0.1', family: 4 }]).connect({ url: `http://localhost:${server.port}`, title: 'it', setting: 'url' })

    const { status } = await client.send({ method: 'GET', path: '/' }, callOf(runtime.clock))

    expect(status).toBe(200)
    await client.close()
  })
})

// What only the reference promises; all else is the exam's.
import { describe, expect, it } from 'vitest'
import type { SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import { createdName } from '../../shared/core/names/created.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { memory } from '../../shared/providers/memory.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

type Whole = Required<Omit<SecretProvider, 'close'>>

const runtime = testRuntime()
const open = (settings: { space?: string; recovery_window_seconds?: number } = {}): Promise<Whole> => memory.open({ recovery_window_seconds: 60, ...settings }, runtime, { kind: 'operator' }) as Promise<Whole>
const name = createdName('litellm/alias')
const request = (text: string, more: Partial<WriteRequest> = {}): WriteRequest => ({ name, value: SecretValue.of(text), expect: 'absent', operation: `put-${text.padEnd(32, '0')}`, stage: 'current', ...more })
const call = () => callOf(runtime.clock)

describe('memory', () => {
  it('shares secrets between opens that name one space, and only between those', async () => {
    const [one, two, other, alone] = await Promise.all([open({ space: 'a' }), open({ space: 'a' }), open({ space: 'b' }), open()])

    await one.write(request('shared'), call())

    expect((await two.read(name, {}, call())).value.reveal()).toBe('shared')
    await expect(other.read(name, {}, call())).rejects.toThrow('There is no such secret')
    await expect(alone.read(name, {}, call())).rejects.toThrow('There is no such secret')
  })

  it('frees a name when the time to recover it is over', async () => {
    const provider = await open()
    await provider.write(request('first'), call())
    await provider.remove(name, { expect: 'any', final: false }, call())

    runtime.clock.advance(60_000)

    await expect(provider.recover(name, call())).rejects.toMatchObject({ code: 'not_found' })
    await expect(provider.write(request('second'), call())).resolves.toMatchObject({ outcome: 'written' })
  })

  it('never uses the id of a version again', async () => {
    const provider = await open()
    const first = await provider.write(request('first'), call())
    await provider.remove(name, { expect: 'any', final: true }, call())

    const second = await provider.write(request('second'), call())

    expect(second.version?.id).not.toBe(first.version?.id)
  })

  it('promotes no version that is not pending', async () => {
    const provider = await open()
    const from = (await provider.write(request('first'), call())).version?.id ?? ''
    const to = (await provider.write(request('second', { expect: { version: from }, stage: 'pending' }), call())).version?.id ?? ''
    await provider.discard(name, to, call())

    await expect(provider.promote(name, { to, from }, call())).rejects.toMatchObject({ code: 'conflict' })

    expect((await provider.read(name, {}, call())).value.reveal()).toBe('first')
  })

  it('lists in the order of names', async () => {
    const provider = await open()
    for (const text of ['litellm/b', 'litellm/a', 'litellm/B']) await provider.write(request(text.replaceAll('/', '-').toLowerCase() + text.length + text.charCodeAt(8), { name: createdName(text) }), call())

    const page = await provider.list({ prefix: '', limit: 10 }, call())

    expect(page.items.map((item) => item.name.text)).toEqual(['litellm/B', 'litellm/a', 'litellm/b'])
  })

  it('has no recover where a delete is final', async () => {
    const provider: Partial<SecretProvider> = await open({ recovery_window_seconds: 0 })

    expect(provider.recover).toBeUndefined()
    expect(provider.traits?.write?.softDelete).toBe(false)
  })
})

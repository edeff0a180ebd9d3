// The machine's own ports, on the machine: a real folder, a real clock, this process.
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeFiles, processEnv, systemClock, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { temporaryFolder, withoutRights } from '../providers/embedded-store.ts'

const bytesOf = (text: string): Uint8Array => Buffer.from(text)
const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

describe('the clock of the machine', () => {
  it('sleeps at least as long as it is asked to', async () => {
    const before = process.hrtime.bigint()

    await systemClock.sleep(20)

    expect(Number(process.hrtime.bigint() - before) / 1e6).toBeGreaterThanOrEqual(19)
  })

  it('wakes with the reason of the signal, before and during the sleep', async () => {
    const [early, late] = [new AbortController(), new AbortController()]
    const reason = new Error('enough')
    early.abort(reason)
    const sleeping = systemClock.sleep(60_000, late.signal)

    late.abort(reason)

    await expect(systemClock.sleep(60_000, early.signal)).rejects.toBe(reason)
    await expect(sleeping).rejects.toBe(reason)
  })

  it('does not turn a sleep beyond every timer into none', async () => {
    const stop = new AbortController()
    const first = await Promise.race([systemClock.sleep(1e12, stop.signal).catch(() => 'stopped'), systemClock.sleep(5).then(() => 'short')])
    stop.abort(new Error('enough'))

    expect(first).toBe('short')
  })
})

describe('the randomness of the machine', () => {
  it('gives as many bytes as asked for, other ones each time', () => {
    const draws = Array.from({ length: 50 }, () => Buffer.from(systemRandom.bytes(16)).toString('hex'))

    expect(new Set(draws).size).toBe(50)
    expect(draws.every((draw) => draw.length === 32)).toBe(true)
  })
})

describe('the environment of the process', () => {
  it('answers a variable exactly, and undefined when it is not set', () => {
    const name = processEnv.names().find((candidate) => candidate === 'PATH') ?? 'PATH'

    expect(processEnv.get(name)).toBe(process.env['PATH'])
    expect(processEnv.get('LATCHKEY_NOT_SET_ANYWHERE')).toBeUndefined()
  })
})

describe('reading a file', () => {
  it('gives its bytes, through a symbolic link too', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), bytesOf('content'))
    await symlink('file', join(folder, 'link'))

    expect(Buffer.from((await nodeFiles.read(join(folder, 'link'))) ?? []).toString()).toBe('content')
  })

  it('is undefined for a file that is not there', async () => {
    expect(await nodeFiles.read(join(await temporaryFolder(), 'none', 'such'))).toBeUndefined()
  })

  it.each([
    ['a folder', (folder: string) => folder, 'it is a folder'],
    ['a path through a file', (folder: string) => join(folder, 'file', 'below'), 'a part of the path is a file'],
    ['a path that is too long', (folder: string) => join(folder, 'x'.repeat(300)), 'the path is too long'],
    ['a path with a NUL', (folder: string) => `${folder}/a\0b`, 'the path holds a NUL character'],
  ])('is misconfigured for %s', async (_, path, says) => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), '')

    await expect(nodeFiles.read(path(folder))).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining(says) })
  })

  it('is misconfigured for a file of somebody else', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'file'), 'x')
    await chmod(join(folder, 'file'), 0o000)

    await expect(withoutRights(() => nodeFiles.read(join(folder, 'file')))).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining(join(folder, 'file')) })
  })

  it.each([
    ['a token', `eyJ${'a'.repeat(5000)}`],
    ['a PEM text', `-----BEGIN PRIVATE KEY-----\n${'b'.repeat(300)}\n`],
    ['a JSON text', `{"private_key": "${'c'.repeat(300)}"}`],
  ])('never shows %s that stands where a path should', async (_, text) => {
    const answer = await nodeFiles.read(text).catch((error: Error) => error.message)

    expect(String(answer ?? '')).not.toMatch(/aaa|bbb|ccc/)
  })
})

describe('the real path of a file', () => {
  it('has no links in it, and is nothing where nothing is', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'real'))
    await symlink('real', join(folder, 'link'))
    const real = await nodeFiles.realPath(join(folder, 'real'))

    expect(await nodeFiles.realPath(join(folder, 'link'))).toBe(real)
    expect(await nodeFiles.realPath(join(folder, 'link', 'nothing'))).toBeUndefined()
  })
})

describe('making a private file', () => {
  it('makes it with its folders, for this user alone', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'deep', 'er', 'file')

    const made = await nodeFiles.createPrivate(path, bytesOf('content'))

    expect(made).toBe(true)
    expect(await readFile(path, 'utf8')).toBe('content')
    expect([await modeOf(path), await modeOf(join(folder, 'deep', 'er')), await modeOf(join(folder, 'deep'))]).toEqual(['600', '700', '700'])
    expect(await readdir(join(folder, 'deep', 'er'))).toEqual(['file'])
  })

  it('leaves a file alone that is there, a link to nowhere included', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), 'mine', { mode: 0o644 })
    await symlink('nowhere', join(folder, 'link'))

    expect(await nodeFiles.createPrivate(join(folder, 'file'), bytesOf('other'))).toBe(false)
    expect(await nodeFiles.createPrivate(join(folder, 'link'), bytesOf('other'))).toBe(false)
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('mine')
    expect(await modeOf(join(folder, 'file'))).toBe('644')
    expect(await readdir(folder)).toEqual(['file', 'link'])
  })

  it('has one winner among many, and everybody reads the winner’s bytes, whole', async () => {
    const path = join(await temporaryFolder(), 'file')
    const contents = Array.from({ length: 20 }, (_, index) => `${index}:${'x'.repeat(10_000)}`)

    const answers = await Promise.all(
      contents.map(async (content) => {
        const won = await nodeFiles.createPrivate(path, bytesOf(content))
        return { won, content, read: await readFile(path, 'utf8') }
      }),
    )
    const winner = answers.find(({ won }) => won)

    expect(answers.filter(({ won }) => won)).toHaveLength(1)
    expect(answers.every(({ read }) => read === winner?.content)).toBe(true)
  })

  it('is misconfigured in a folder without the right, and leaves no draft', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o555)

    const making = withoutRights(() => nodeFiles.createPrivate(join(folder, 'file'), bytesOf('x')))

    await expect(making).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('this user may not use it') })
    expect(await readdir(folder)).toEqual([])
  })

  it('is misconfigured below a file', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), '')
    await mkdir(join(folder, 'sub'))

    await expect(nodeFiles.createPrivate(join(folder, 'file', 'x'), bytesOf('x'))).rejects.toMatchObject({ code: 'misconfigured' })
    await expect(nodeFiles.createPrivate(join(folder, 'file', 'x', 'y'), bytesOf('x'))).rejects.toMatchObject({ code: 'misconfigured' })
  })
})

// Event Grid's events in a real storage queue: a message goes in as Event Grid writes it, is handed to the rotate app's trigger as the Functions host hands it over, and is
// deleted, tried again or put with the poison by the host's own rules, which are all that is ours here. The key is rotated in the examined fake of Key Vault.
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { rotateTriggers } from '../../../functions/azure/triggers.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { openAzure, startVault } from '../../conformance/harnesses/azure-key-vault.ts'
import { rotationHouse } from '../../rotation/rotation-house.ts'

const peer = inject('peers').azurite
/** The account and key that every Azurite has. */
const account = { name: 'devstoreaccount1', key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==' }
/** As host.json has it. */
const maxDequeueCount = 3

interface Message {
  readonly messageId: string
  readonly popReceipt: string
  readonly messageText: string
  readonly dequeueCount: number
}

/** What is used of Microsoft's client. */
interface QueueClient {
  create(): Promise<unknown>
  sendMessage(text: string): Promise<unknown>
  receiveMessages(options: { readonly numberOfMessages: number; readonly visibilityTimeout: number }): Promise<{ readonly receivedMessageItems: readonly Message[] }>
  updateMessage(id: string, receipt: string, text: string, visibilityTimeout: number): Promise<unknown>
  deleteMessage(id: string, receipt: string): Promise<unknown>
  peekMessages(options: { readonly numberOfMessages: number }): Promise<{ readonly peekedMessageItems: readonly Pick<Message, 'messageText'>[] }>
}

const open = async (url: string, folder: string) => {
  const { QueueClient: Client, StorageSharedKeyCredential: Credential } = createRequire(join(folder, 'package.json'))('@azure/storage-queue') as {
    QueueClient: new (url: string, credential: unknown) => QueueClient
    StorageSharedKeyCredential: new (name: string, key: string) => unknown
  }
  const name = `rotation-${randomUUID().slice(0, 8)}`
  const [queue, poison] = [name, `${name}-poison`].map((each) => new Client(`${url}/${account.name}/${each}`, new Credential(account.name, account.key))) as [QueueClient, QueueClient]
  await Promise.all([queue.create(), poison.create()])
  const { fake, runtime, io, settings } = await startVault()
  const house = await rotationHouse(runtime, () => openAzure(io, settings))
  onTestFinished(async () => {
    await house.provider.close?.()
    await fake.close()
  })
  let down = false
  const rotator = { handle: (...given: Parameters<typeof house.rotator.handle>) => (down ? Promise.resolve({ decision: 'retry', reason: 'failed', message: 'down', error: new LatchkeyError('provider_unavailable', 'The vault does not answer.') } as const) : house.rotator.handle(...given)) }
  const triggers = rotateTriggers({ rotator, runtime }, 'poison')
  /** The Functions host: one message at a time, base64 taken off, and its rules for what becomes of it. Answers what it did. */
  const host = async (): Promise<string | undefined> => {
    const [message] = (await queue.receiveMessages({ numberOfMessages: 1, visibilityTimeout: 30 })).receivedMessageItems
    if (message === undefined) return undefined
    const outputs: unknown[] = []
    const context = { invocationId: randomUUID(), triggerMetadata: { id: message.messageId, dequeueCount: message.dequeueCount }, extraOutputs: { set: (_output: string, value: unknown) => void outputs.push(value) } }
    try {
      await triggers.queue(Buffer.from(message.messageText, 'base64').toString('utf8'), context)
    } catch {
      if (message.dequeueCount < maxDequeueCount) {
        await queue.updateMessage(message.messageId, message.popReceipt, message.messageText, 0)
        return 'tried again'
      }
      await poison.sendMessage(message.messageText)
      await queue.deleteMessage(message.messageId, message.popReceipt)
      return 'poisoned by the host'
    }
    for (const value of outputs) await poison.sendMessage(Buffer.from(String(value)).toString('base64'))
    await queue.deleteMessage(message.messageId, message.popReceipt)
    return outputs.length > 0 ? 'poisoned by us' : 'taken'
  }
  const native = (alias: string): string => `${new URL(String(settings['azure_key_vault_uri'])).origin}/secrets/${house.provider.traits.names.encode(createdName(`litellm/${alias}`))}`
  const nearExpiry = (id: string, alias: string): string => JSON.stringify({ id, eventType: 'Microsoft.KeyVault.SecretNearExpiry', subject: alias, eventTime: new Date(runtime.clock.now()).toISOString(), data: { Id: `${native(alias)}/0123456789abcdef0123456789abcdef`, ObjectType: 'Secret' }, dataVersion: '1', metadataVersion: '1' })
  const poisoned = async (): Promise<readonly string[]> => (await poison.peekMessages({ numberOfMessages: 10 })).peekedMessageItems.map(({ messageText }) => Buffer.from(messageText, 'base64').toString('utf8'))
  return { ...house, host, poisoned, nearExpiry, send: (text: string) => queue.sendMessage(Buffer.from(text).toString('base64')), fail: (fails: boolean) => void (down = fails) }
}

describe('the queue of Event Grid, in Azurite', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const opened = () => open(peer.url, peer.facts['client'] ?? '')

  it('brings an event that rotates the key once; the second delivery does nothing', async () => {
    const { host, send, nearExpiry, oldKey, epochOf, accepts, tokenOf, poisoned, lines } = await opened()
    const made = await oldKey('a')
    await send(nearExpiry('e-1', 'a'))
    await send(nearExpiry('e-1', 'a'))

    const done = [await host(), await host(), await host()]

    expect(done).toEqual(['taken', 'taken', undefined])
    expect(lines().map(({ code }) => code)).toEqual(['rotated', 'already_done'])
    expect([await epochOf('a'), await accepts(made.key), await accepts(await tokenOf('a')), await poisoned()]).toEqual([2, true, true, []])
  })

  it('lets what nothing can mend go to the poison at its first attempt, as it came', async () => {
    const { host, send, poisoned, lines, nearExpiry } = await opened()
    const foreign = nearExpiry('e-2', 'a').replace('127.0.0.1', 'other-vault.vault.azure.net')
    await send('{"not": "an event"}')
    await send(foreign)

    const done = [await host(), await host(), await host()]

    expect(done).toEqual(['poisoned by us', 'poisoned by us', undefined])
    expect(await poisoned()).toEqual(['{"not": "an event"}', foreign])
    expect(lines().map(({ code }) => code)).toEqual(['malformed', 'not_ours'])
  })

  it('keeps what failed until it succeeds, and after the last attempt with the poison', async () => {
    const { host, send, nearExpiry, oldKey, epochOf, poisoned, fail } = await opened()
    await oldKey('a')
    await oldKey('b')
    fail(true)
    await send(nearExpiry('e-1', 'a'))
    const failing = [await host()]
    fail(false)
    failing.push(await host())
    fail(true)
    await send(nearExpiry('e-2', 'b'))

    const last = [await host(), await host(), await host(), await host()]

    expect(failing).toEqual(['tried again', 'taken'])
    expect(last).toEqual(['tried again', 'tried again', 'poisoned by the host', undefined])
    expect([await epochOf('a'), await epochOf('b'), (await poisoned()).length]).toEqual([2, 1, 1])
  })
})

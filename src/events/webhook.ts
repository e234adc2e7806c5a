import { createHmac } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import type { Clock } from '../clock/clock.ts'
import { EverleafError } from '../errors.ts'
import type { Duration, EventRecord } from '../model.ts'
import { toEnvelope } from './envelope.ts'
import type { EventSink } from './events.ts'
import { type Attempt, deliverInOrder } from './in-order.ts'
import { type Answer, post } from './post.ts'

export interface WebhookOptions {
  name: string
  /** `http:` or `https:`. It may hold a credential of its own, so only its origin is ever told. */
  url: string
  /** Key of the HMAC-SHA-256 signature; the receiver holds the same. */
  secret: string | Uint8Array
  /** For one event, from the first byte to the answer. */
  timeout: Duration
  /** For the connection alone; at most `timeout`. */
  connectTimeout?: Duration
  /** How many subjects are sent at once, each over its own kept-alive connection. */
  concurrency?: number
  clock: Clock
}

/** The receiver wants us back later; the fault is not in the event. */
const laterStatuses = new Set([408, 425, 429])
/** A receiver may not keep us away for longer than this. */
const longestRetryAfter: Duration = 3_600_000

/**
 * POSTs each event as JSON. `Everleaf-Signature: t=<Unix seconds>,v1=<hex>` where v1 is HMAC-SHA-256 over `<t>.<body>`.
 * 2xx delivers; 408, 425, 429, 5xx, redirects (never followed) and network faults make the sink unavailable; any other
 * answer refuses the one event.
 */
export const createWebhookSink = (options: WebhookOptions): EventSink & { close(): void } => {
  const { name, timeout, clock, concurrency = 16 } = options
  const url = readUrl(options)
  const where = `webhook "${name}" (${url.origin})`
  if (options.secret.length === 0) throw new EverleafError('configuration', `${where}: its secret is empty`)
  const { Agent } = url.protocol === 'https:' ? https : http
  const agent = new Agent({ keepAlive: true })

  const send = async (event: EventRecord): Promise<Attempt> => {
    const body = Buffer.from(JSON.stringify(toEnvelope(event)))
    const time = Math.floor(clock.now() / 1_000)
    const signature = createHmac('sha256', options.secret).update(`${time}.`).update(body).digest('hex')
    const headers = {
      'Content-Type': 'application/json',
      'User-Agent': 'everleaf',
      'Everleaf-Event-Id': event.id,
      'Everleaf-Signature': `t=${time},v1=${signature}`,
    }
    const connectTimeout = Math.min(options.connectTimeout ?? 5_000, timeout)
    const answer = await post({ url, agent, headers, body, timeout, connectTimeout })
    return judge(answer, where, clock)
  }

  return {
    name,
    batch: 500,
    deliver: (events) => deliverInOrder(events, concurrency, send),
    close: () => agent.destroy(),
  }
}

const judge = (answer: Answer, where: string, clock: Clock): Attempt => {
  if ('fault' in answer)
    return { status: 'down', reason: `${where} cannot be reached: ${answer.fault}`, retryAfter: null }
  const { status } = answer
  if (status >= 200 && status < 300) return { status: 'delivered' }
  if (status >= 300 && status < 400)
    return { status: 'down', reason: `${where} answered ${status}; redirects are not followed`, retryAfter: null }
  const reason = `${where} answered ${status}`
  if (status >= 500 || laterStatuses.has(status))
    return { status: 'down', reason, retryAfter: readRetryAfter(answer, clock) }
  return { status: 'refused', reason }
}

/** Seconds or an HTTP date (RFC 9110 §10.2.3); a date is taken against the receiver's own, whose clock may be off. */
const readRetryAfter = (
  { retryAfter, date }: { retryAfter?: string; date?: string },
  clock: Clock,
): Duration | null => {
  if (retryAfter === undefined) return null
  const theirNow = Date.parse(date ?? '')
  const wait = /^[0-9]{1,10}$/.test(retryAfter)
    ? Number(retryAfter) * 1_000
    : Date.parse(retryAfter) - (Number.isNaN(theirNow) ? clock.now() : theirNow)
  return Number.isNaN(wait) ? null : Math.min(Math.max(0, wait), longestRetryAfter)
}

const readUrl = ({ name, url }: WebhookOptions): URL => {
  const parsed = URL.parse(url)
  if (parsed === null) throw new EverleafError('configuration', `webhook "${name}": its url is not a URL`)
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw new EverleafError(
      'configuration',
      `webhook "${name}": its url has ${parsed.protocol}, it must be http: or https:`,
    )
  return parsed
}

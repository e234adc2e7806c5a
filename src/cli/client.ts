import { type ErrorCode, EverleafError, messageOf } from '../errors.ts'

type Query = Record<string, string | number | undefined>

/**
 * The admin REST of a running server. Answers are what its OpenAPI says; refusals throw with the server's own words.
 */
export interface AdminClient {
  get<Answer>(path: string, query?: Query): Promise<Answer>
  post<Answer>(path: string, body?: object): Promise<Answer>
}

/** Publishing to a slow gateway takes a while; beyond this nobody waits. */
const patience = 120_000

export function createClient({ url, token }: { url: string; token: string }): AdminClient {
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const response = await reach(url, path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(body && { 'content-type': 'application/json' }),
      },
      body: body && JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(patience),
    })
    const text = await response.text()
    const answer = jsonOf(text)
    if (response.ok && answer !== undefined) return answer
    throw refusalOf(response.status, answer, url)
  }
  return {
    get: async <Answer>(path: string, query: Query = {}) => {
      const given = Object.entries(query).flatMap(
        ([key, value]): Array<[string, string]> => (value === undefined ? [] : [[key, String(value)]]),
      )
      const search = given.length > 0 ? `?${new URLSearchParams(given)}` : ''
      return (await call('GET', `${path}${search}`)) as Answer
    },
    post: async <Answer>(path: string, body: object = {}) => (await call('POST', path, body)) as Answer,
  }
}

async function reach(url: string, path: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(`${url}/api/v1/${path}`, request)
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const isRefused = cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
    const why = isRefused ? 'nothing listens there' : messageOf(cause)
    throw new EverleafError(
      'unavailable',
      `no answer from ${url} (${why}): is the server running? Start it with "npm start"`,
      { cause: error },
    )
  }
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A problem document (RFC 9457), or what something else in between answered. */
function refusalOf(status: number, answer: unknown, url: string): EverleafError {
  if (typeof answer === 'object' && answer !== null && 'detail' in answer && typeof answer.detail === 'string') {
    const code: ErrorCode = status === 404 ? 'not-found' : status >= 500 ? 'unavailable' : 'refused'
    const hint =
      status === 401 ? ` (sent to ${url}; the token comes from listen.admin.tokenFile or EVERLEAF_ADMIN_TOKEN)` : ''
    return new EverleafError(code, `${answer.detail}${hint}`)
  }
  return new EverleafError('unavailable', `${url} answered ${status} and no Everleaf answer: is something else there?`)
}

import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'

export interface StrictAnswer {
  status: number
  headers: ReadonlyArray<readonly [string, string]>
  body: string
}

export interface Connection {
  socket: TLSSocket
  /** What a later connection resumes; only there once the server gave it. */
  session(): Buffer | undefined
  isResumed: boolean
}

export const openTls = (port: number, options: ConnectionOptions): Promise<Connection> =>
  new Promise((resolve, reject) => {
    let session: Buffer | undefined
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...options })
    socket.on('session', (given: Buffer) => {
      session = given
    })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      socket.on('error', () => undefined) // the reader sees an answer that is cut short
      resolve({ socket, session: () => session ?? socket.getSession(), isResumed: socket.isSessionReused() })
    })
  })

/** RFC 5929 §3.1, from the client's side: the first Finished of the handshake. */
export const tlsUnique = ({ socket, isResumed }: Connection): string =>
  (isResumed ? socket.getPeerFinished() : socket.getFinished())?.toString('base64') ?? ''

/** Sends bytes and reads what comes until the server ends the connection, as libest does. */
export const exchange = ({ socket }: Connection, bytes: string): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(text))
    socket.write(bytes, 'latin1')
  })

/** Sends bytes and reads one answer by its length, leaving the connection open. Throws where there is none. */
export const exchangeOnce = ({ socket }: Connection, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const read = (data: Buffer) => {
      text += data.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = /^Content-Length: (\d+)\r$/m.exec(text)?.[1]
      if (end < 0 || length === undefined || text.length < end + 4 + Number(length)) return
      socket.off('data', read)
      resolve(text)
    }
    socket.on('data', read)
    socket.once('close', () => reject(new Error(`the connection ended within the answer: ${text}`)))
    socket.write(bytes, 'latin1')
  })

const mostHeaders = 16

/**
 * Reads an answer as the pickiest of the EST clients do: `HTTP/1.1`, at most 16 headers, CRLF, a Content-Length that is
 * exactly kept, nothing chunked, nothing behind it. Header names keep their case. Throws otherwise.
 */
export const readStrictly = (text: string): StrictAnswer => {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, Math.max(end, 0)).split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3}) [ -~]+$/.exec(first)?.[1]
  if (end < 0 || status === undefined) throw new Error(`no HTTP/1.1 answer: ${text.slice(0, 200)}`)
  if (lines.length > mostHeaders) throw new Error(`${lines.length} headers, ${mostHeaders} are kept`)
  const headers = lines.map((line): [string, string] => {
    const [, name, value] = /^([!-9;-~]+): (.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`no header: ${line}`)
    return [name, value]
  })
  const answer = { status: Number(status), headers, body: text.slice(end + 4) }
  const length = headerOf(answer, 'Content-Length')
  if (length === undefined || Number(length) !== answer.body.length)
    throw new Error(`Content-Length is ${length}, the body has ${answer.body.length} bytes`)
  return answer
}

/** Compared with its case. */
export const headerOf = ({ headers }: StrictAnswer, name: string): string | undefined =>
  headers.find(([each]) => each === name)?.[1]

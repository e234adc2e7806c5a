import type { Server } from '../support/server.ts'
import type { PreparedRequest, Workshop } from './workshop.ts'

export interface CurlAnswer {
  status: number
  /** Everything that `--include` shows of the last answer. */
  head: string
  body: string
  /** What `--verbose` tells: the handshake, every request line and status line. */
  told: string
}

/** Runs curl against the device listener of a server, whose certificate it verifies against the root. */
export const curlOf =
  (workshop: Workshop, server: Server) =>
  async (path: string, ...options: string[]): Promise<CurlAnswer> => {
    const fixed = ['--silent', '--show-error', '--verbose', '--include', '--cacert', server.files.root]
    const { code, out, err } = await workshop.attempt('curl', ...fixed, ...options, `${server.deviceUrl}${path}`)
    if (code !== 0) throw new Error(`curl exited with ${code}: ${err}`)
    const heads = out.split('\r\n\r\n')
    const last = heads.findLastIndex((part) => part.startsWith('HTTP/1.1 '))
    const head = heads[last] ?? ''
    return {
      status: Number(head.slice(9, 12)),
      head,
      body: heads.slice(last + 1).join('\r\n\r\n'),
      told: err.replaceAll('\r', ''),
    }
  }

export const est = (operation: string): string => `/.well-known/est/${operation}`

/** The options that send a request as the body of an enrolment. */
export const sending = ({ body }: PreparedRequest, type = 'application/pkcs10'): string[] => [
  '--header',
  `Content-Type: ${type}`,
  '--data-binary',
  `@${body}`,
]

export const identity = (certificate: string, { key }: PreparedRequest): string[] => [
  '--cert',
  certificate,
  '--key',
  key,
]

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import swagger from '@fastify/swagger'
import fastify, { type FastifyBaseLogger, type FastifyError, type FastifyReply } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { EverleafError, isEverleafError, messageOf } from '../../errors.ts'
import { answerClientError } from '../http/client-error.ts'
import { type HttpLimits, httpLimits } from '../http/limits.ts'
import type { HttpListener } from '../http/listener.ts'
import { strictTarget } from '../http/target.ts'
import { problemOf, StatusError } from '../problem.ts'
import type { AdminApp, AdminDependencies } from './app.ts'
import { bearerCheck } from './authentication.ts'
import { authorityRoutes } from './authorities.ts'
import { certificateRoutes } from './certificates.ts'
import { deviceRoutes } from './devices.ts'
import { healthRoutes } from './health.ts'
import { hostCheck } from './host-check.ts'
import { operationRoutes } from './operations.ts'
import { publicationRoutes } from './publication.ts'
import { tokenRoutes } from './tokens.ts'
import { truststoreRoutes } from './truststore.ts'
import { validatorCompiler } from './validation.ts'

export interface AdminServerOptions extends AdminDependencies {
  /** Host names by which it may be called, besides loopback. */
  names: readonly string[]
  limits?: Partial<HttpLimits>
}

const bodyBytes = 64 * 1024

/** The operator's REST API, probes and metrics. Everything but the probes needs the bearer token. */
export const createAdminServer = (options: AdminServerOptions): HttpListener => {
  const bounds = { ...httpLimits, ...options.limits }
  const app: AdminApp = fastify<Server, IncomingMessage, ServerResponse, FastifyBaseLogger>({
    bodyLimit: bodyBytes,
    requestTimeout: bounds.requestTimeout,
    keepAliveTimeout: bounds.keepAliveTimeout,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 1_024 },
    http: {
      headersTimeout: bounds.headersTimeout,
      connectionsCheckingInterval: bounds.checkInterval,
      maxHeaderSize: bounds.headBytes,
    },
    frameworkErrors: (error, _request, reply) => answerProblem(error, reply, options.ports),
    clientErrorHandler: (error, socket) => {
      answerClientError(error, socket as Socket, false)
    },
  }).withTypeProvider<ZodTypeProvider>()
  app.removeContentTypeParser('text/plain')
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  guard(app, options)
  void app.register(swagger, {
    openapi: {
      info: { title: 'Everleaf', version: options.server.version },
      components: bearerScheme,
      security: [{ bearer: [] }],
    },
    transform: jsonSchemaTransform,
  })
  void app.register(async (scope) => routes(scope.withTypeProvider<ZodTypeProvider>(), options))
  return listenerOf(app, options)
}

const bearerScheme = { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } as const

const routes = (app: AdminApp, options: AdminDependencies): void => {
  const groups = [tokenRoutes, deviceRoutes, certificateRoutes, authorityRoutes, truststoreRoutes, publicationRoutes]
  for (const group of [...groups, operationRoutes, healthRoutes]) group(app, options)
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}

/** Who may call, how failures look, and the access log. */
const guard = (app: AdminApp, { names, tokenHash, ports, changed, log }: AdminServerOptions): void => {
  const checkHost = hostCheck(names)
  const checkBearer = bearerCheck(tokenHash)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('Cache-Control', 'no-store').header('X-Content-Type-Options', 'nosniff')
    strictTarget(request.raw)
    checkHost(request)
    checkBearer(request)
  })
  app.setNotFoundHandler(() => {
    throw new StatusError(404, 'there is nothing at this path')
  })
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    if (problemOf(translate(error), ports.random).status === 500) log.error({ err: error }, 'an admin request failed')
    void answerProblem(error, reply, ports)
  })
  app.addHook('onResponse', async ({ method, url, ip }, reply) => {
    if (method !== 'GET' && method !== 'HEAD' && reply.statusCode < 400) changed()
    const fields = { listener: 'admin', method, path: url.split('?', 1)[0], status: reply.statusCode, remote: ip }
    log.info({ ...fields, milliseconds: Math.round(reply.elapsedTime) }, 'request')
  })
}

const answerProblem = (error: FastifyError, reply: FastifyReply, { random }: AdminDependencies['ports']) => {
  const { status, headers, document } = problemOf(translate(error), random)
  return reply.code(status).headers(headers).type('application/problem+json').send(JSON.stringify(document))
}

/** The framework's own refusals (body too large, wrong media type, no JSON) carry their status. */
const translate = (error: FastifyError): unknown =>
  !isEverleafError(error) && error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500
    ? new StatusError(error.statusCode, error.message)
    : error

const listenerOf = (app: AdminApp, { ports: { clock } }: AdminServerOptions): HttpListener => ({
  async listen(address) {
    try {
      await app.listen(address)
    } catch (cause) {
      const wanted = `${address.host} port ${address.port}`
      throw new EverleafError('configuration', `the admin listener cannot have ${wanted}: ${messageOf(cause)}`, {
        cause,
      })
    }
    return { port: (app.server.address() as AddressInfo).port }
  },

  async close(deadline) {
    const closed = new AbortController()
    const late = clock.sleep(deadline, closed.signal).then(
      () => app.server.closeAllConnections(),
      () => undefined,
    )
    await app.close()
    closed.abort()
    await late
  },
})

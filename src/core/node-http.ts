/**
 * What is used of node:http, in each thread. Not imported, for then node fills in all that could be imported of it, and so loads
 * what it has of fetch and WebSockets: more than 4 MiB and 20 ms, for every thread.
 */
const http: typeof import('node:http') = process.getBuiltinModule('node:http');

export const createServer: typeof http.createServer = http.createServer;
export const STATUS_CODES: typeof http.STATUS_CODES = http.STATUS_CODES;

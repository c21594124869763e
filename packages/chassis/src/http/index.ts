export { type CompressOptions, compressResponses } from "./compress.ts";
export { etagResponses } from "./etag.ts";
export { parseJson } from "./json.ts";
export {
  addLogFields,
  type HttpApp,
  type HttpAppOptions,
  type HttpContext,
  type HttpEnv,
  makeHttpApp,
} from "./make-http-app.ts";
export { checkBody, limitBody, parseBody, parseParams, parseQuery, readJson } from "./parse.ts";
export { problemResponse } from "./problem-response.ts";
export { readBody } from "./read-body.ts";
export { type HttpServer, type ServeOptions, serveHttp } from "./serve-http.ts";

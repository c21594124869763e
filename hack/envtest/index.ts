export { type ApiAnswer, type ApiCaller, kubeconfigOf, makeApiCaller } from "./api-caller.ts";
export { type ApiServer, type ApiServerAccess, startApiServer } from "./api-server.ts";
export { findAssets, requireAssets } from "./assets.ts";

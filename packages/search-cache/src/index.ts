export { decodeAnswer, encodeAnswer, type SearchAnswer } from "./answer.ts";
export { searchFailureResponse } from "./failure.ts";
export { makeSearchCache, maxCachedBytes, type RevisedAnswer, type SearchCache } from "./make-search-cache.ts";
export {
  encodeCursor,
  nextPage,
  type ParsedWindow,
  type Position,
  parseQueryString,
  parseSearchWindow,
  type SearchWindow,
  windowKey,
} from "./search-window.ts";

export type TakeRequest = {
  key: string;
  /** Whole tokens. */
  capacity: number;
  refillPerSecond: number;
  /** Whole tokens; 0 looks and takes nothing. */
  cost: number;
};

export type BucketState = {
  allowed: boolean;
  /** Whole tokens left. */
  remaining: number;
  /** Milliseconds until `cost` tokens are there; 0 when allowed, Infinity when they never are. */
  retryAfterMs: number;
};

/** One contract for the shared (Redis) and the local bucket: two takers never get the same last token. */
export type TokenBucket = {
  take(request: TakeRequest): Promise<BucketState>;
  peek(request: Omit<TakeRequest, "cost">): Promise<BucketState>;
};

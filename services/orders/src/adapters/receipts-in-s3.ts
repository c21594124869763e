import {
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { AppError } from "@pricing-engine/chassis/errors";
import { type ReceiptStore, receiptNames } from "./receipt-store.ts";

export interface S3Place {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const timeoutMs = 5_000;
/** Written beside the receipts when one is refused, and deleted again. */
export const probeName = "pricing-engine-probe";
// Of this object and for good, if it takes others. Others (403, 404: keys, bucket) are misconfiguration, which waits for who mends it.
const refusingStatuses: ReadonlySet<number> = new Set([400, 405, 411, 413, 414, 415, 422]);
const passing: ReadonlySet<string> = new Set(["RequestTimeout", "ExpiredToken", "AuthorizationHeaderMalformed"]);

export function makeS3Client({ endpoint, region, accessKeyId, secretAccessKey }: S3Place): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    // The consumer repeats, and waits where that does not help.
    maxAttempts: 1,
    // Without the last it only warns.
    requestHandler: { connectionTimeout: 1_000, requestTimeout: timeoutMs, throwOnRequestTimeout: true },
  });
}

/** Receipts in S3-compatible storage. */
export function makeS3Receipts(place: S3Place): ReceiptStore {
  const client = makeS3Client(place);
  const Bucket = place.bucket;
  // Until the server says that it knows none: older ones answer 501.
  let knowsConditions = true;
  const isThere = (Key: string): Promise<boolean> =>
    client.send(new HeadObjectCommand({ Bucket, Key })).then(
      () => true,
      (error: unknown) => {
        // 403: keys that may not list are not told what is missing. Where it is the keys that are wrong, the put will say so.
        if (statusOf(error) === 404 || statusOf(error) === 403) return false;
        throw error;
      },
    );
  const put = async (Key: string, Body: string, ContentType: string): Promise<string> => {
    const object = { Bucket, Key, Body, ContentType };
    if (knowsConditions) {
      const status = await client.send(new PutObjectCommand({ ...object, IfNoneMatch: "*" })).then(
        () => 200,
        (error: unknown) => {
          const answered = statusOf(error);
          if (answered !== 412 && answered !== 501) throw error;
          return answered;
        },
      );
      knowsConditions = status !== 501;
    }
    // The bytes of a receipt are its order's alone: whoever writes it between the two calls writes the same.
    if (!knowsConditions && !(await isThere(Key))) await client.send(new PutObjectCommand(object));
    return urlOf(place, Key);
  };
  /** A quota that is used up or a key that is gone is told with the same statuses as a bad object, and then none is taken. */
  const takesOthers = async (
    key: string,
    refusal: S3ServiceException,
    { json, page }: { json: string; page: string },
  ): Promise<boolean> => {
    const Key = `${key.slice(0, key.lastIndexOf("/") + 1)}${probeName}`;
    // No shorter than both, so that a quota that has room for a little is told as well; but for one that is too large for the store.
    const probeLength = statusOf(refusal) === 413 ? 1 : Buffer.byteLength(json) + Buffer.byteLength(page);
    try {
      await client.send(
        new PutObjectCommand({ Bucket, Key, Body: " ".repeat(probeLength), ContentType: "text/plain" }),
      );
    } catch {
      return false;
    }
    await client.send(new DeleteObjectCommand({ Bucket, Key })).catch(() => undefined);
    return true;
  };
  return {
    async write(order, receipt) {
      const { json, page } = receiptNames(order);
      try {
        const [jsonUrl, pageUrl] = await Promise.all([
          put(json, receipt.json, "application/json"),
          put(page, receipt.page, "text/html; charset=utf-8"),
        ]);
        return { kind: "written", jsonUrl, pageUrl };
      } catch (cause) {
        if (isRefusal(cause) && (await takesOthers(json, cause, receipt))) {
          return { kind: "refused", reason: `the receipt store: ${cause.name}` };
        }
        throw new AppError("unavailable", { cause, detail: "the store of receipts takes nothing" });
      }
    },
    async remove(order) {
      const { json, page } = receiptNames(order);
      await Promise.all([json, page].map((Key) => client.send(new DeleteObjectCommand({ Bucket, Key })))).catch(
        (cause: unknown) => {
          throw new AppError("unavailable", { cause });
        },
      );
    },
    close: () => client.destroy(),
  };
}

export function urlOf({ endpoint, bucket }: Pick<S3Place, "endpoint" | "bucket">, key: string): string {
  return `${endpoint.replace(/\/+$/, "")}/${bucket}/${key}`;
}

function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

function isRefusal(error: unknown): error is S3ServiceException {
  if (!(error instanceof S3ServiceException) || passing.has(error.name)) return false;
  return refusingStatuses.has(error.$metadata.httpStatusCode ?? 0);
}

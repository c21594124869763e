import { DeleteObjectCommand, PutObjectCommand, S3Client, S3ServiceException } from "@aws-sdk/client-s3";
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
// Of this object and for good. Others (403, 404: keys, bucket) are misconfiguration, which waits for who mends it.
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
    requestHandler: { connectionTimeout: 1_000, requestTimeout: timeoutMs },
  });
}

/** Receipts in S3-compatible storage. */
export function makeS3Receipts(place: S3Place): ReceiptStore {
  const client = makeS3Client(place);
  const Bucket = place.bucket;
  const put = async (Key: string, Body: string, ContentType: string): Promise<string> => {
    // What is there already has the same bytes.
    await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType, IfNoneMatch: "*" })).catch((error) => {
      if (statusOf(error) !== 412) throw error;
    });
    return urlOf(place, Key);
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
        if (isRefusal(cause)) return { kind: "refused", reason: `the receipt store: ${cause.name}` };
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

import { GetObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { makeS3Client, type S3Place, urlOf } from "./receipts-in-s3.ts";

/** What a client can open: a bucket is private, so its links are signed and end. Others are what was stored. */
export type LinkReceipt = (stored: string | null) => Promise<string | null>;

const validSeconds = 3_600;

export function makeLinkReceipt(place: S3Place): LinkReceipt {
  const client = makeS3Client(place);
  const base = urlOf(place, "");
  return async (stored) => {
    if (stored === null || !stored.startsWith(base)) return stored;
    const command = new GetObjectCommand({ Bucket: place.bucket, Key: stored.slice(base.length) });
    return getSignedUrl(client, command, { expiresIn: validSeconds });
  };
}

import kafkajs from "kafkajs";
import { describe, expect, it } from "vitest";
import { publishError, wroteNothing } from "./publish-errors.ts";

function protocol(type: string): Error {
  return Object.assign(new Error(type), { name: "KafkaJSProtocolError", type, retriable: true });
}
function connection(code: string, message = "Connection error"): Error {
  return Object.assign(new Error(message), { name: "KafkaJSConnectionError", code });
}
const given = new kafkajs.KafkaJSNumberOfRetriesExceeded(protocol("LEADER_NOT_AVAILABLE"), {
  retryCount: 0,
  retryTime: 0,
});

describe("what a failed publish means", () => {
  it.each<[string, unknown, number, boolean]>([
    ["an unknown topic", protocol("UNKNOWN_TOPIC_OR_PARTITION"), 1, true],
    ["one of several partitions refusing", protocol("UNKNOWN_TOPIC_OR_PARTITION"), 2, false],
    ["too few replicas after writing", protocol("NOT_ENOUGH_REPLICAS_AFTER_APPEND"), 1, false],
    ["nobody to connect to, though it was sent", connection("ECONNREFUSED"), 1, false],
    ["a connection that broke", connection("ECONNRESET"), 1, false],
    ["no answer to a request", Object.assign(new Error("late"), { name: "KafkaJSRequestTimeoutError" }), 1, false],
    ["something else", new TypeError("what"), 1, false],
    ["no error at all", "what", 1, false],
  ])("%s", (_name, error, partitions, expected) => {
    expect(wroteNothing(error, partitions)).toBe(expected);
  });

  it("looks through the wrapping of retries", () => {
    expect(wroteNothing(Object.assign(given, { cause: protocol("LEADER_NOT_AVAILABLE") }), 1)).toBe(true);
  });

  it("is final when no waiting helps", () => {
    expect(publishError("t", protocol("MESSAGE_TOO_LARGE"), true)).toMatchObject({
      code: "publish_unknown",
      retryable: false,
    });
    expect(publishError("t", connection("ECONNREFUSED"), false)).toMatchObject({
      code: "kafka_unavailable",
      retryable: true,
    });
  });
});

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
  it.each<[string, unknown, number, number, boolean]>([
    ["nobody to connect to", connection("ECONNREFUSED"), 1, 3, true],
    ["nobody to connect to at one of two brokers", connection("ECONNREFUSED"), 2, 3, false],
    ["no answer to a connect", connection("", "Connection timeout"), 1, 3, true],
    ["a broker signed by a stranger", connection("SELF_SIGNED_CERT_IN_CHAIN"), 1, 3, true],
    ["a certificate of another host", connection("ERR_TLS_CERT_ALTNAME_INVALID"), 1, 3, true],
    ["a login that is refused", Object.assign(new Error("no"), { name: "KafkaJSSASLAuthenticationError" }), 1, 3, true],
    ["a connection that broke", connection("ECONNRESET"), 1, 1, false],
    [
      "a way that is cut before a connect",
      connection("EHOSTUNREACH", "Connection error: connect EHOSTUNREACH"),
      1,
      1,
      true,
    ],
    [
      "a way that is cut under a connection",
      connection("EHOSTUNREACH", "Connection error: read EHOSTUNREACH"),
      1,
      1,
      false,
    ],
    ["no answer to a request", Object.assign(new Error("late"), { name: "KafkaJSRequestTimeoutError" }), 1, 1, false],
    ["an unknown topic", protocol("UNKNOWN_TOPIC_OR_PARTITION"), 0, 0, true],
    ["one of several partitions refusing", protocol("UNKNOWN_TOPIC_OR_PARTITION"), 1, 2, false],
    ["too few replicas after writing", protocol("NOT_ENOUGH_REPLICAS_AFTER_APPEND"), 1, 1, false],
    ["something else", new TypeError("what"), 1, 1, false],
    ["no error at all", "what", 1, 1, false],
  ])("%s", (_name, error, brokers, partitions, expected) => {
    expect(wroteNothing(error, { brokers, partitions })).toBe(expected);
  });

  it("looks through the wrapping of retries", () => {
    expect(
      wroteNothing(Object.assign(given, { cause: protocol("LEADER_NOT_AVAILABLE") }), { brokers: 1, partitions: 1 }),
    ).toBe(true);
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

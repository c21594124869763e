import { describe, expect, it } from "vitest";
import { findByHand } from "./by-hand.ts";

const id = "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3";
const runBy = () => "somebody";

describe("findByHand", () => {
  it("takes an id in any case, and why", () => {
    expect(findByHand([id.toUpperCase(), "--reason", "gone"], { runBy })).toEqual({
      id,
      source: undefined,
      actor: "somebody",
      reason: "gone",
    });
  });

  it("asks who runs it only when nobody is named: in an image the user has no name", () => {
    const nameless = (): string => {
      throw new Error("uv_os_get_passwd returned ENOENT");
    };
    const args = [id, "--reason", "gone", "--source", "order", "--actor", "ada"];
    expect(findByHand(args, { runBy: nameless })).toEqual({ id, source: "order", actor: "ada", reason: "gone" });
  });

  it("takes one without a reason where that is allowed", () => {
    expect(findByHand([id], { runBy, unexplained: "none given" })).toMatchObject({ id, reason: "none given" });
  });

  it.each([
    ["no id", ["--reason", "gone"]],
    ["two ids, of which one would be passed over", [id, id, "--reason", "gone"]],
    ["no UUID", ["x", "--reason", "gone"]],
    ["no reason", [id]],
    ["an empty reason", [id, "--reason", " "]],
    ["an empty actor", [id, "--reason", "gone", "--actor", ""]],
    ["another source", [id, "--reason", "gone", "--source", "shop"]],
    ["an option that is not known", [id, "--reason", "gone", "--force"]],
    ["an option without its value", [id, "--reason"]],
  ])("is wrong usage: %s", (_what, args) => {
    expect(findByHand(args, { runBy })).toBeUndefined();
  });
});

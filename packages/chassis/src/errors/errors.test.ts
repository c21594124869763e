import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AppError } from "./app-error.ts";
import { errorCatalogue } from "./catalogue.ts";
import { toProblem } from "./problem.ts";
import { renderErrorReference } from "./render.ts";

const root = join(import.meta.dirname, "../../../..");

/** All sources but tests and the catalogue itself. */
function sources(): string[] {
  return ["packages", "services", "operator"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"))
      .filter((path) => !/\.(test|sim)\.ts$|(^|\/)test\/|errors\/catalogue\.ts$/.test(path))
      .map((path) => readFileSync(join(root, folder, path), "utf8")),
  );
}

describe("error catalogue", () => {
  const codes = Object.keys(errorCatalogue);
  const texts = sources();

  it("has no code that nothing throws", () => {
    const all = texts.join("\n");
    expect(codes.filter((code) => !all.includes(`"${code}"`))).toEqual([]);
  });

  it("has every code that is thrown", () => {
    const thrown = texts.flatMap((text) =>
      [...text.matchAll(/new AppError\(\s*"([^"]+)"/g)].map((match) => match[1] ?? ""),
    );
    expect(thrown.length).toBeGreaterThan(5);
    expect([...new Set(thrown)].filter((code) => !codes.includes(code))).toEqual([]);
  });

  it("documents every code", () => {
    const page = renderErrorReference();
    for (const code of codes) expect(page).toContain(`| \`${code}\` |`);
  });
});

describe("toProblem", () => {
  it("tells nothing about an unknown error", () => {
    const text = JSON.stringify(toProblem(new Error("postgres://u:p@db failed"), "t"));
    expect(JSON.parse(text)).toMatchObject({ code: "internal", status: 500, traceId: "t" });
    expect(text).not.toContain("postgres://");
  });

  it("tells nothing about our own faults either", () => {
    const error = new AppError("unavailable", { detail: "pool of 10.0.0.3 empty", extensions: { host: "10.0.0.3" } });
    expect(JSON.stringify(toProblem(error, "t"))).not.toContain("10.0.0.3");
  });

  it("carries detail, fields and extensions of a 4xx, which cannot overwrite the standard members", () => {
    const fieldErrors = [{ pointer: "/a", code: "x", message: "y" }];
    const extensions = { existing_order_id: "o1", status: 200 };
    const error = new AppError("unprocessable", { detail: "seen before", fieldErrors, extensions });
    expect(toProblem(error, "t")).toMatchObject({
      status: 422,
      detail: "seen before",
      errors: fieldErrors,
      existing_order_id: "o1",
    });
  });
});

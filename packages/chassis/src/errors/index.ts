export { AppError, type AppErrorOptions, assertNever, type FieldError } from "./app-error.ts";
export { type ErrorCode, type ErrorDefinition, errorCatalogue, errorType } from "./catalogue.ts";
export { type Problem, toProblem } from "./problem.ts";
export { renderErrorReference } from "./render.ts";

# The context is what hack/images/dev.ts leaves in .run/images/dev. The store comes first: it seldom changes.
FROM node:24-bookworm-slim
COPY store /app/store
COPY dev-entry.mjs /app/
COPY workspace /app/workspace
USER 65532:65532
ENTRYPOINT ["node", "/app/dev-entry.mjs"]

# The gateway on Debian 12 with Node 20. The first stage has the compilers, the second what a session needs.
FROM node:20-bookworm-slim AS build
ENV LIVEDUB_CACHE=/opt/livedub/cache
WORKDIR /opt/livedub/app
COPY . .
RUN node gateway/setup/setup.mjs && node gateway/setup/build.mjs && npm prune --omit=dev --ignore-scripts

FROM node:20-bookworm-slim
ENV LIVEDUB_CACHE=/opt/livedub/cache NODE_ENV=production
WORKDIR /opt/livedub/app
COPY --from=build /opt/livedub /opt/livedub
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    $(node -e "import('/opt/livedub/app/gateway/setup/packages.mjs').then((p) => console.log(p.RUN_PACKAGES.join(' ')))") \
  && rm -rf /var/lib/apt/lists/*
USER node
EXPOSE 8080
HEALTHCHECK CMD node -e "fetch('http://127.0.0.1:' + (process.env.LIVEDUB_HTTP_PORT || 8080) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
CMD ["node", "gateway/bin/livedub.mjs", "serve"]

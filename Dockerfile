# Holdfast in a container. It listens on all of the container's addresses and therefore asks every caller for a token.
#   docker build -t holdfast .
#   docker run -v holdfast:/data -p 127.0.0.1:4000:4000 -e HOLDFAST_AUTH_TOKENS=… holdfast

FROM node:24-alpine AS pack
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
# No scripts: the one of the development dependency `node` would bring a second Node.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN mkdir /pack && npm pack --silent --pack-destination /pack

# What is published, with its dependencies as they are locked. For archives on S3 add @aws-sdk/client-s3 and @aws-sdk/lib-storage.
FROM node:24-alpine AS install
WORKDIR /opt/holdfast
COPY --from=pack /pack/ /pack/
RUN tar -xzf /pack/holdfast-*.tgz --strip-components=1
COPY package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-alpine
COPY --from=install /opt/holdfast /opt/holdfast
RUN ln -s /opt/holdfast/bin/holdfast.js /usr/local/bin/holdfast && install -d -o node -g node /data
ENV NODE_ENV=production \
    HOLDFAST_SERVER_HOST=0.0.0.0 \
    HOLDFAST_AUTH_MODE=token \
    HOLDFAST_STORE_DATA=/data \
    HOLDFAST_DR_DIR=/data/backups \
    HOLDFAST_FALLBACK_DATASETS_DIR=/data/datasets \
    HOLDFAST_REPLICA_DATA=/data
# A holdfast.config.yaml mounted here is read.
WORKDIR /srv/holdfast
USER node
VOLUME /data
EXPOSE 4000 4001 4010 4011
ENTRYPOINT ["holdfast"]
CMD ["start"]

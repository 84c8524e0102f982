// Sends one file with tus-js-client: endpoint, path, bytes a request. Says how far it is, one JSON object a line.
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { Upload } from "tus-js-client";

const [endpoint, path, chunkSize] = process.argv.slice(2);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

const upload = new Upload(createReadStream(path), {
  endpoint,
  chunkSize: Number(chunkSize),
  retryDelays: [0, 500, 1000, 2000, 4000, 4000, 4000],
  metadata: { filename: basename(path) },
  onChunkComplete: (_size, accepted) => say({ accepted }),
  onError: (error) => {
    say({ error: error.message });
    process.exit(1);
  },
  onSuccess: () => say({ url: upload.url }),
});
upload.start();

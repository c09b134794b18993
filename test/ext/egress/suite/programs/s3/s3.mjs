import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { HttpsProxyAgent } from "https-proxy-agent";

const [, , endpoint, name, small, large] = process.argv;
// It reads no variable of a proxy.
const requestHandler = new NodeHttpHandler({ httpsAgent: new HttpsProxyAgent(process.env.HTTPS_PROXY) });
const client = new S3Client({ endpoint, forcePathStyle: true, requestHandler });
const put = (key, Body) => ({ Bucket: "uploads", Key: `${name}/${key}`, Body });
await client.send(new PutObjectCommand(put("small", readFileSync(small))));
await client.send(new PutObjectCommand(put("whole", createReadStream(large))));
await new Upload({ client, params: put("parts", createReadStream(large)) }).done();
const { Body } = await client.send(new GetObjectCommand({ Bucket: "uploads", Key: `${name}/whole` }));
console.log(
  createHash("sha256")
    .update(await Body.transformToByteArray())
    .digest("hex"),
);

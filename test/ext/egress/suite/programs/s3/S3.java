import java.io.*;
import java.net.URI;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.*;
import java.util.*;
import java.util.stream.*;
import javax.net.ssl.*;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.apache.*;
import software.amazon.awssdk.http.auth.aws.signer.AwsV4FamilyHttpSigner;
import software.amazon.awssdk.services.s3.*;
import software.amazon.awssdk.services.s3.auth.scheme.S3AuthSchemeProvider;
import software.amazon.awssdk.services.s3.model.*;

/** Java reads no variable of certificates. */
public class S3 {
  public static void main(String[] args) throws Exception {
    String name = args[1];
    Path small = Path.of(args[2]), large = Path.of(args[3]);
    S3Client client = clientOf(args[0]).build();
    client.putObject(put(name + "/small"), RequestBody.fromFile(small));
    client.putObject(put(name + "/whole"), RequestBody.fromFile(large));
    parts(client, name + "/parts", Files.readAllBytes(large));
    // Each chunk has a signature: with a checksum behind the last one, and without.
    S3AuthSchemeProvider signing = given -> S3AuthSchemeProvider.defaultProvider().resolveAuthScheme(given).stream()
      .map(one -> one.toBuilder().putSignerProperty(AwsV4FamilyHttpSigner.PAYLOAD_SIGNING_ENABLED, true).build())
      .collect(Collectors.toList());
    S3Client signed = clientOf(args[0]).authSchemeProvider(signing).build();
    signed.putObject(put(name + "/signed-trailer"), RequestBody.fromFile(large));
    S3Client bare = clientOf(args[0]).authSchemeProvider(signing)
      .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED).build();
    bare.putObject(put(name + "/signed"), RequestBody.fromFile(large));
    byte[] got = client.getObjectAsBytes(b -> b.bucket("uploads").key(name + "/whole")).asByteArray();
    System.out.println(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(got)));
    System.exit(0);
  }

  static PutObjectRequest put(String key) {
    return PutObjectRequest.builder().bucket("uploads").key(key).build();
  }

  static void parts(S3Client client, String key, byte[] body) {
    String id = client.createMultipartUpload(b -> b.bucket("uploads").key(key)).uploadId();
    List<CompletedPart> done = new ArrayList<>();
    int size = 8 << 20;
    for (int at = 0, number = 1; at < body.length; at += size, number++) {
      byte[] part = Arrays.copyOfRange(body, at, Math.min(body.length, at + size));
      int current = number;
      String tag = client.uploadPart(b -> b.bucket("uploads").key(key).uploadId(id).partNumber(current),
        RequestBody.fromBytes(part)).eTag();
      done.add(CompletedPart.builder().partNumber(current).eTag(tag).build());
    }
    client.completeMultipartUpload(b -> b.bucket("uploads").key(key).uploadId(id).multipartUpload(m -> m.parts(done)));
  }

  static S3ClientBuilder clientOf(String url) throws Exception {
    URI proxy = URI.create(System.getenv("HTTPS_PROXY"));
    String[] user = proxy.getUserInfo().split(":");
    TrustManager[] trust = trusting(System.getenv("SSL_CERT_FILE"));
    return S3Client.builder().endpointOverride(URI.create(url)).forcePathStyle(true)
      .httpClientBuilder(ApacheHttpClient.builder().tlsTrustManagersProvider(() -> trust)
        .proxyConfiguration(ProxyConfiguration.builder()
          .endpoint(URI.create("http://" + proxy.getHost() + ":" + proxy.getPort()))
          .username(user[0]).password(user[1]).preemptiveBasicAuthenticationEnabled(true).build()));
  }

  static TrustManager[] trusting(String file) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    for (java.security.cert.Certificate each :
        CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(file)))
      trusted.setCertificateEntry("" + trusted.size(), each);
    TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(trusted);
    return factory.getTrustManagers();
  }
}

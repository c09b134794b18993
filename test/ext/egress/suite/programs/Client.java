import java.io.FileInputStream;
import java.io.InputStream;
import java.net.*;
import java.net.http.*;
import java.security.KeyStore;
import java.security.cert.*;
import java.util.concurrent.*;
import javax.net.ssl.*;

/** Java reads no variable: it takes the proxy and the certificates by its own code. */
public class Client {
  public static void main(String[] args) throws Exception {
    System.setProperty("jdk.http.auth.tunneling.disabledSchemes", "");
    URI proxy = URI.create(System.getenv("HTTPS_PROXY"));
    String[] user = proxy.getUserInfo().split(":");
    HttpClient client = HttpClient.newBuilder().sslContext(trusting(System.getenv("SSL_CERT_FILE")))
      .followRedirects(HttpClient.Redirect.NORMAL)
      .proxy(ProxySelector.of(new InetSocketAddress(proxy.getHost(), proxy.getPort())))
      .authenticator(new Authenticator() {
        protected PasswordAuthentication getPasswordAuthentication() {
          return new PasswordAuthentication(user[0], user[1].toCharArray());
        }
      }).build();
    if (args[0].equals("WS")) speak(client, URI.create(args[1].replace("https", "wss")));
    else ask(client, args[0], URI.create(args[1]));
    System.exit(0);
  }

  static SSLContext trusting(String file) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(file)))
      trusted.setCertificateEntry("" + trusted.size(), each);
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    return tls;
  }

  static void ask(HttpClient client, String method, URI uri) throws Exception {
    HttpRequest.BodyPublisher body = method.equals("POST")
      ? HttpRequest.BodyPublishers.ofByteArray(new byte[1 << 20]) : HttpRequest.BodyPublishers.noBody();
    HttpRequest request = HttpRequest.newBuilder(uri).method(method, body).build();
    HttpResponse<InputStream> answer = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
    byte[] bytes = new byte[1 << 16];
    for (int read; (read = answer.body().read(bytes)) >= 0; System.out.flush()) System.out.write(bytes, 0, read);
    System.out.println(answer.version().toString().replace('_', '/'));
  }

  static void speak(HttpClient client, URI uri) throws Exception {
    CompletableFuture<String> message = new CompletableFuture<>();
    WebSocket socket = client.newWebSocketBuilder().buildAsync(uri, new WebSocket.Listener() {
      public CompletionStage<?> onText(WebSocket from, CharSequence text, boolean last) {
        message.complete(text.toString());
        return null;
      }
    }).join();
    socket.sendText("hello", true);
    System.out.println(message.get(20, TimeUnit.SECONDS));
  }
}

package agent;

import dev.nexus.v1.OAuth2Strategy;
import dev.nexus.v1.Token;
import dev.nexus.v1.TokenServiceGrpc;
import dev.nexus.v1.TokenState;
import dev.nexus.v1.WatchTokensResponse;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * An agent that always holds its current tokens: it keeps WatchTokens open, whatever happens to the daemon. It follows the
 * rules for clients in the comment of WatchTokens (proto/nexus/v1/token.proto).
 */
public final class Agent {
  private static final String USAGE = """
      usage: agent [--address A] [--call URL] [ids of connections; none means all]
        --address  unix:PATH or http://HOST:PORT (NEXUS_ADDRESS)
        --call     an API to call with each new token""";

  public static void main(String[] args) throws Exception {
    String address = defaultAddress();
    String apiUrl = null;
    List<String> connectionIds = new ArrayList<>();
    for (int i = 0; i < args.length; i++) {
      if (args[i].equals("--address") && i + 1 < args.length) {
        address = args[++i];
      } else if (args[i].equals("--call") && i + 1 < args.length) {
        apiUrl = args[++i];
      } else if (args[i].startsWith("-")) {
        System.err.println(USAGE);
        System.exit(2);
      } else {
        connectionIds.add(args[i]);
      }
    }
    try {
      run(address, connectionIds, apiUrl);
    } catch (StatusRuntimeException error) {
      System.err.println(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
      System.exit(1);
    }
  }

  private static void run(String address, List<String> connectionIds, String apiUrl) throws Exception {
    String target = address;
    Metadata metadata = new Metadata();
    if (address.startsWith("http://")) {
      target = "dns:///" + address.substring("http://".length()).replaceFirst("/$", "");
      metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + readApiKey());
    }
    var builder = Grpc.newChannelBuilder(target, InsecureChannelCredentials.create());
    if (target.startsWith("unix:")) {
      builder.overrideAuthority("localhost"); // by default it is the path, which is no authority, and HTTP/2 refuses it
    }
    ManagedChannel channel = builder.build();
    System.out.println("connecting to " + address);
    Holder holder = new Holder();
    HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    Map<String, Long> called = new HashMap<>(); // the revision that the API was last called with
    var tokens = TokenServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
    holder.watch(channel, tokens, connectionIds, message -> {
      System.out.println(describe(message));
      String id = message.getState().getConnectionId();
      Token token = holder.token(id);
      if (apiUrl == null || token == null || Long.valueOf(token.getRevision()).equals(called.get(id))) {
        return;
      }
      called.put(id, token.getRevision());
      client.sendAsync(request(apiUrl, token), BodyHandlers.discarding())
          .handle((answer, error) -> error == null ? String.valueOf(answer.statusCode()) : String.valueOf(error))
          .thenAccept(answer -> System.out.println(id + "  API answered " + answer));
    });
  }

  /** A request with the header that carries the token. */
  private static HttpRequest request(String url, Token token) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(10));
    if (token.getStrategy().hasOauth2()) {
      OAuth2Strategy strategy = token.getStrategy().getOauth2();
      String credential = token.getCredentialsOrDefault(strategy.getCredentialField(), "");
      request.header(strategy.getHeaderName(), strategy.getValuePrefix() + credential);
    }
    return request.build();
  }

  /** One line for a person. It never holds a token. */
  private static String describe(WatchTokensResponse message) {
    return switch (message.getEventCase()) {
      case STATE -> describe(message.getState());
      case REMOVED -> message.getRemoved().getConnectionId() + "  removed";
      case BOOKMARK -> "bookmark " + Long.toUnsignedString(message.getBookmark().getPosition().getRevision());
      case RESET -> "reset: " + message.getReset().getReason();
      case DRAIN -> "drain";
      default -> "a message of a newer daemon";
    };
  }

  private static String describe(TokenState state) {
    String status = state.getStatus().name().replaceFirst("^CONNECTION_STATUS_", "").toLowerCase(Locale.ROOT);
    String line = state.getConnectionId() + "  " + status + "  revision " + state.getRevision();
    if (state.hasToken()) {
      Token token = state.getToken();
      line += token.hasExpiresAt() ? "  expires " + instantOf(token.getExpiresAt()) : "  does not expire";
    }
    return state.hasProblem() ? line + "  " + state.getProblem().getReason() : line;
  }

  static Instant instantOf(com.google.protobuf.Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  private static String readApiKey() throws IOException {
    String file = System.getenv("NEXUS_API_KEY_FILE");
    if (file == null) {
      throw new IOException("NEXUS_API_KEY_FILE must name the file of the API key");
    }
    return Files.readString(Path.of(file)).strip();
  }

  private static String defaultAddress() {
    String address = System.getenv("NEXUS_ADDRESS");
    if (address != null && !address.isEmpty()) {
      return address;
    }
    String dataHome = System.getenv("XDG_DATA_HOME");
    Path base = dataHome == null || dataHome.isEmpty()
        ? Path.of(System.getProperty("user.home"), ".local", "share")
        : Path.of(dataHome);
    return "unix:" + base.resolve("nexusd/nexus.sock");
  }
}

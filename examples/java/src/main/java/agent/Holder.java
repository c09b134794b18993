package agent;

import dev.nexus.v1.Position;
import dev.nexus.v1.Token;
import dev.nexus.v1.TokenServiceGrpc.TokenServiceBlockingStub;
import dev.nexus.v1.TokenState;
import dev.nexus.v1.WatchTokensRequest;
import dev.nexus.v1.WatchTokensResponse;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/** The newest token of each connection, kept up to date by {@link #watch}. */
final class Holder {
  private static final Duration BOOKMARK_INTERVAL = Duration.ofSeconds(30); // the daemon's own default
  private static final Duration SILENCE = BOOKMARK_INTERVAL.multipliedBy(3); // a stream silent for so long is dead
  private static final long FIRST_DELAY_MS = 100;
  private static final long LONGEST_DELAY_MS = 10_000;

  /** What is not fixed by another attempt. */
  private static final Set<Status.Code> PERMANENT = EnumSet.of(
      Status.Code.INVALID_ARGUMENT,
      Status.Code.UNAUTHENTICATED,
      Status.Code.PERMISSION_DENIED,
      Status.Code.UNIMPLEMENTED);

  private final Map<String, TokenState> states = new HashMap<>();
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(task -> {
    Thread thread = new Thread(task, "silence");
    thread.setDaemon(true);
    return thread;
  });
  private Position position; // of the last bookmark; null for a snapshot
  private Set<String> named; // what a snapshot has named so far; null outside of one

  /** What to use now, also while the daemon is away: null once it has expired, or when there is none. */
  synchronized Token token(String connectionId) {
    TokenState state = states.get(connectionId);
    if (state == null || !state.hasToken()) {
      return null;
    }
    Token token = state.getToken();
    return token.hasExpiresAt() && !Instant.now().isBefore(Agent.instantOf(token.getExpiresAt())) ? null : token;
  }

  /**
   * Reads streams one after the other, each resumed where the one before ended.
   *
   * @throws StatusRuntimeException for what another attempt will not fix
   */
  void watch(
      ManagedChannel channel,
      TokenServiceBlockingStub tokens,
      List<String> connectionIds,
      Consumer<WatchTokensResponse> onMessage)
      throws InterruptedException {
    int[] failures = {0};
    while (true) {
      long[] delayMs = {-1};
      // While no connection can be had the channel backs off by itself, up to two minutes: this loop has its own backoff.
      channel.resetConnectBackoff();
      try {
        watchOnce(tokens, connectionIds, message -> {
          failures[0] = 0;
          take(message);
          if (message.hasDrain()) {
            var delay = message.getDrain().getReconnectDelay();
            delayMs[0] = Duration.ofSeconds(delay.getSeconds(), delay.getNanos()).toMillis();
          }
          onMessage.accept(message);
        });
        System.out.println("the daemon ended the stream");
      } catch (StatusRuntimeException error) {
        if (PERMANENT.contains(error.getStatus().getCode())) {
          throw error;
        }
        System.out.println("the stream broke off: " + error.getStatus().getCode() + " " + error.getStatus().getDescription());
      }
      if (delayMs[0] < 0) {
        long longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS << Math.min(failures[0], 10));
        delayMs[0] = ThreadLocalRandom.current().nextLong(longest);
      }
      failures[0]++;
      Thread.sleep(delayMs[0]);
    }
  }

  /** Reads one stream to its end, or until it has been silent for too long. */
  private void watchOnce(
      TokenServiceBlockingStub tokens, List<String> connectionIds, Consumer<WatchTokensResponse> onMessage) {
    Context.CancellableContext call = Context.current().withCancellation();
    Context before = call.attach();
    try {
      var silence = cancelLater(call);
      var messages = tokens.watchTokens(resume(connectionIds));
      while (messages.hasNext()) {
        silence.cancel(false);
        onMessage.accept(messages.next());
        silence = cancelLater(call);
      }
      silence.cancel(false);
    } finally {
      call.detach(before);
      call.cancel(null);
    }
  }

  private java.util.concurrent.Future<?> cancelLater(Context.CancellableContext call) {
    Runnable cancel = () -> call.cancel(new TimeoutException("nothing came for too long"));
    return timer.schedule(cancel, SILENCE.toMillis(), TimeUnit.MILLISECONDS);
  }

  private synchronized WatchTokensRequest resume(List<String> connectionIds) {
    WatchTokensRequest.Builder request = WatchTokensRequest.newBuilder().addAllConnectionIds(connectionIds);
    request.getBookmarkIntervalBuilder().setSeconds(BOOKMARK_INTERVAL.toSeconds());
    named = position == null ? new HashSet<>() : null;
    if (position != null) {
      request.setPosition(position);
    }
    return request.build();
  }

  private synchronized void take(WatchTokensResponse message) {
    switch (message.getEventCase()) {
      case STATE -> {
        states.put(message.getState().getConnectionId(), message.getState());
        if (named != null) {
          named.add(message.getState().getConnectionId());
        }
      }
      case REMOVED -> states.remove(message.getRemoved().getConnectionId());
      case RESET -> {
        position = null;
        named = new HashSet<>();
      }
      case BOOKMARK -> {
        if (named != null) { // the snapshot is complete: what it did not name is gone
          states.keySet().retainAll(named);
        }
        position = message.getBookmark().getPosition();
        named = null;
      }
      default -> {}
    }
  }
}

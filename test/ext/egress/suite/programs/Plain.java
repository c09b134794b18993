import java.io.InputStream;
import java.net.URI;

/** Reads an API as programs do that know no proxy. */
public class Plain {
  public static void main(String[] arguments) throws Exception {
    try (InputStream answer = URI.create(arguments[0]).toURL().openStream()) {
      answer.transferTo(System.out);
    }
  }
}

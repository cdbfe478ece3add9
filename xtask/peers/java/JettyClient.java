import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.client.api.Request;
import org.eclipse.jetty.client.api.Response;
import org.eclipse.jetty.client.util.InputStreamResponseListener;
import org.eclipse.jetty.client.util.PathContentProvider;
import org.eclipse.jetty.http2.client.HTTP2Client;
import org.eclipse.jetty.http2.client.http.HttpClientTransportOverHTTP2;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/**
 * java JettyClient PORT plain|tls COMMAND …: Jetty as a client of HTTP/2.
 *
 *   get PATH           prints `STATUS LENGTH SHA256`
 *   post PATH FILE     the same, of the response to FILE; for /digest the body
 *                      itself stands in place of its digest
 *   parallel N PATH    N requests at once: `N STATUS LENGTH SHA256` if all agree
 */
public final class JettyClient {
    private static final long SECONDS = 60;

    public static void main(String[] args) throws Exception {
        boolean secure = args[1].equals("tls");
        HttpClientTransportOverHTTP2 transport = new HttpClientTransportOverHTTP2(new HTTP2Client());
        transport.setUseALPN(secure);
        SslContextFactory.Client tls = new SslContextFactory.Client(true);
        tls.setSslContext(Tls.client());
        HttpClient client = new HttpClient(transport, tls);
        client.setMaxConnectionsPerDestination(1);
        client.start();
        String base = (secure ? "https" : "http") + "://127.0.0.1:" + args[0];
        switch (args[2]) {
            case "get" -> System.out.println(answer(args[3], send(client.newRequest(base + args[3]))));
            case "post" -> {
                Request request = client.POST(base + args[3]).content(new PathContentProvider(Path.of(args[4])));
                System.out.println(answer(args[3], send(request)));
            }
            case "parallel" -> {
                List<InputStreamResponseListener> responses = new ArrayList<>();
                for (int i = 0; i < Integer.parseInt(args[3]); i++) {
                    responses.add(send(client.newRequest(base + args[4])));
                }
                List<String> answers = new ArrayList<>();
                for (InputStreamResponseListener response : responses) {
                    answers.add(answer(args[4], response));
                }
                boolean agree = answers.stream().distinct().count() == 1;
                System.out.println(agree ? args[3] + " " + answers.get(0) : "FAIL they differ: " + answers);
            }
            default -> System.out.println("usage: PORT plain|tls COMMAND …");
        }
        // Its threads do not end by themselves.
        System.exit(0);
    }

    private static InputStreamResponseListener send(Request request) {
        InputStreamResponseListener response = new InputStreamResponseListener();
        request.send(response);
        return response;
    }

    private static String answer(String path, InputStreamResponseListener listener) throws Exception {
        Response response = listener.get(SECONDS, TimeUnit.SECONDS);
        MessageDigest sha256 = sha256();
        try (InputStream in = listener.getInputStream()) {
            if (path.equals("/digest")) {
                String body = new String(in.readAllBytes(), StandardCharsets.UTF_8);
                return response.getStatus() + " " + body.length() + " " + body;
            }
            long length = new DigestInputStream(in, sha256).transferTo(OutputStream.nullOutputStream());
            return response.getStatus() + " " + length + " " + hex(sha256);
        }
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    static String hex(MessageDigest digest) {
        StringBuilder hex = new StringBuilder();
        for (byte octet : digest.digest()) {
            hex.append(String.format("%02x", octet));
        }
        return hex.toString();
    }
}

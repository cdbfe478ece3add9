import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.alpn.server.ALPNServerConnectionFactory;
import org.eclipse.jetty.http2.server.HTTP2CServerConnectionFactory;
import org.eclipse.jetty.http2.server.HTTP2ServerConnectionFactory;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.server.handler.AbstractHandler;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/**
 * java JettyServer PORT FOLDER [CERT KEY]: Jetty as a server of HTTP/2.
 *
 *   GET  /NAME     the file NAME of FOLDER
 *   POST /digest   the SHA-256 of the request body, in hex
 *   POST /echo     the request body
 */
public final class JettyServer extends AbstractHandler {
    private final Path folder;

    private JettyServer(Path folder) {
        this.folder = folder;
    }

    public static void main(String[] args) throws Exception {
        HttpConfiguration config = new HttpConfiguration();
        Server server = new Server();
        ServerConnector connector;
        if (args.length > 2) {
            SslContextFactory.Server tls = new SslContextFactory.Server();
            tls.setSslContext(Tls.server(args[2], args[3]));
            ALPNServerConnectionFactory alpn = new ALPNServerConnectionFactory("h2");
            connector = new ServerConnector(server, new SslConnectionFactory(tls, alpn.getProtocol()),
                alpn, new HTTP2ServerConnectionFactory(config));
        } else {
            connector = new ServerConnector(server, new HttpConnectionFactory(config),
                new HTTP2CServerConnectionFactory(config));
        }
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(args[0]));
        server.addConnector(connector);
        server.setHandler(new JettyServer(Path.of(args[1])));
        server.start();
        server.join();
    }

    @Override
    public void handle(String path, Request base, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        base.setHandled(true);
        OutputStream out = response.getOutputStream();
        if (path.equals("/digest")) {
            MessageDigest sha256 = JettyClient.sha256();
            new DigestInputStream(request.getInputStream(), sha256).transferTo(OutputStream.nullOutputStream());
            out.write(JettyClient.hex(sha256).getBytes());
        } else if (path.equals("/echo")) {
            request.getInputStream().transferTo(out);
        } else {
            Path file = folder.resolve(Path.of(path).getFileName());
            if (!Files.isRegularFile(file)) {
                response.setStatus(404);
                return;
            }
            response.setContentLengthLong(Files.size(file));
            try (InputStream in = Files.newInputStream(file)) {
                in.transferTo(out);
            }
        }
    }
}

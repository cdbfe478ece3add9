import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.spdy.DefaultSpdyPingFrame;
import io.netty.handler.codec.spdy.DefaultSpdyRstStreamFrame;
import io.netty.handler.codec.spdy.DefaultSpdySynStreamFrame;
import io.netty.handler.codec.spdy.SpdyDataFrame;
import io.netty.handler.codec.spdy.SpdyFrame;
import io.netty.handler.codec.spdy.SpdyGoAwayFrame;
import io.netty.handler.codec.spdy.SpdyHeadersFrame;
import io.netty.handler.codec.spdy.SpdyPingFrame;
import io.netty.handler.codec.spdy.SpdyRstStreamFrame;
import io.netty.handler.codec.spdy.SpdySessionStatus;
import io.netty.handler.codec.spdy.SpdyStreamStatus;
import io.netty.handler.codec.spdy.SpdySynStreamFrame;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;

/**
 * java SpdyClient PORT plain|tls COMMAND …: Netty as a client of SPDY/3.1.
 *
 *   get PATH           prints `STATUS LENGTH SHA256`
 *   post PATH FILE     the same, of the response to FILE; for /digest the body
 *                      itself stands in place of its digest
 *   parallel N PATH    N requests at once: `N STATUS LENGTH SHA256` if all agree
 *   ping N             N pings, each answered
 *   reset N PATH       N times: resets PATH when its first data is here; then as `get`
 *   goaway PATH        sends GOAWAY while PATH is under way; the body must still be whole
 *   drain PATH         reads PATH slowly, expects GOAWAY from the server and the whole body
 *   push PATH N        as `get`, and `PATH STATUS LENGTH SHA256` of N pushes, sorted
 */
public final class SpdyClient extends SimpleChannelInboundHandler<SpdyFrame> {
    /** One exchange; of a push the path is the server's. */
    private static final class Exchange {
        final SpdyPeer.Body body = new SpdyPeer.Body();
        final String path;
        String status;

        Exchange(String path) {
            this.path = path;
        }

        String answer() {
            return status + " " + body.length + " " + (path.equals("/digest") ? body.text() : body.digest());
        }
    }

    private final boolean tls;
    private final String port;
    private final String command;
    private final String[] args;
    private final Map<Integer, Exchange> exchanges = new TreeMap<>();
    private final TreeSet<String> pushed = new TreeSet<>();
    private String first;
    private int nextStream = 1;
    private int left;
    private int goaways;

    private SpdyClient(String[] args) {
        port = args[0];
        tls = args[1].equals("tls");
        command = args[2];
        this.args = args;
    }

    public static void main(String[] args) throws Exception {
        SSLContext tls = args[1].equals("tls") ? Tls.client() : null;
        NioEventLoopGroup group = new NioEventLoopGroup(1);
        SpdyClient client = new SpdyClient(args);
        Bootstrap bootstrap = new Bootstrap()
            .group(group)
            .channel(NioSocketChannel.class)
            .handler(new ChannelInitializer<Channel>() {
                @Override protected void initChannel(Channel channel) {
                    SpdyPeer.fill(channel, tls, false, client);
                }
            });
        group.schedule(() -> fail("timed out"), 60, TimeUnit.SECONDS);
        Channel channel = bootstrap.connect("127.0.0.1", Integer.parseInt(args[0])).sync().channel();
        channel.closeFuture().sync();
        // After what the connection's thread is about to deliver.
        group.execute(() -> fail("the connection closed before the end"));
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) throws IOException {
        Channel channel = ctx.channel();
        left = 1;
        switch (command) {
            case "get": case "goaway": case "drain":
                request(channel, "GET", args[3], null);
                break;
            case "post":
                request(channel, "POST", args[3], Path.of(args[4]));
                break;
            case "push":
                left = 1 + Integer.parseInt(args[4]);
                request(channel, "GET", args[3], null);
                break;
            case "parallel": case "reset":
                left = Integer.parseInt(args[3]);
                for (int i = 0; i < left; i++) {
                    request(channel, "GET", args[4], null);
                }
                break;
            case "ping":
                left = Integer.parseInt(args[3]);
                for (int i = 0; i < left; i++) {
                    channel.writeAndFlush(new DefaultSpdyPingFrame(1 + 2 * i));
                }
                break;
            default:
                fail("no such command");
        }
    }

    @Override
    protected void channelRead0(ChannelHandlerContext ctx, SpdyFrame frame) throws IOException {
        Channel channel = ctx.channel();
        if (frame instanceof SpdySynStreamFrame) {
            SpdySynStreamFrame promise = (SpdySynStreamFrame) frame;
            if (!promise.isUnidirectional() || promise.associatedStreamId() != 1) {
                fail("no push: " + promise);
            }
            String url = promise.headers().get(":scheme") + "://" + promise.headers().get(":host");
            if (!url.equals((tls ? "https" : "http") + "://localhost:" + port)) {
                fail("pushed from " + url);
            }
            exchanges.put(promise.streamId(), new Exchange(String.valueOf(promise.headers().get(":path"))));
        }
        if (frame instanceof SpdyHeadersFrame) {
            head(channel, (SpdyHeadersFrame) frame);
        } else if (frame instanceof SpdyDataFrame) {
            data(channel, (SpdyDataFrame) frame);
        } else if (frame instanceof SpdyPingFrame) {
            if (--left == 0) {
                finish(args[3] + " pings");
            }
        } else if (frame instanceof SpdyGoAwayFrame) {
            goaways++;
            if (!((SpdyGoAwayFrame) frame).status().equals(SpdySessionStatus.OK)) {
                fail("GOAWAY " + frame);
            }
        } else if (frame instanceof SpdyRstStreamFrame) {
            fail("RST_STREAM " + frame);
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable error) {
        fail(error.toString());
    }

    private void request(Channel channel, String method, String path, Path file) throws IOException {
        int id = nextStream;
        nextStream += 2;
        SpdySynStreamFrame head = new DefaultSpdySynStreamFrame(id, 0, (byte) 3);
        head.headers().add(":method", method);
        head.headers().add(":path", path);
        head.headers().add(":version", "HTTP/1.1");
        head.headers().add(":host", "localhost:" + port);
        head.headers().add(":scheme", tls ? "https" : "http");
        head.headers().add("user-agent", "netty");
        head.headers().add("cookie", "a=1");
        head.headers().add("cookie", "b=2");
        if (file != null) {
            head.headers().add("content-length", Long.toString(Files.size(file)));
        }
        head.setLast(file == null);
        exchanges.put(id, new Exchange(path));
        channel.writeAndFlush(head);
        if (file != null) {
            SpdyPeer.sendFile(channel, id, file);
        }
    }

    private void head(Channel channel, SpdyHeadersFrame frame) throws IOException {
        Exchange exchange = exchanges.get(frame.streamId());
        CharSequence status = frame.headers().get(":status");
        if (frame.isInvalid() || frame.isTruncated()) {
            fail("invalid head: " + frame);
        }
        if (exchange == null || status == null) {
            return;
        }
        exchange.status = status.toString();
        if (command.equals("goaway")) {
            // Netty says GOAWAY, and waits for the streams.
            channel.close();
        } else if (command.equals("drain")) {
            System.out.println("started");
            channel.config().setAutoRead(false);
            channel.eventLoop().schedule(() -> channel.config().setAutoRead(true), 1500, TimeUnit.MILLISECONDS);
        }
        if (frame.isLast()) {
            done(frame.streamId(), exchange);
        }
    }

    private void data(Channel channel, SpdyDataFrame frame) throws IOException {
        int id = frame.streamId();
        Exchange exchange = exchanges.get(id);
        if (exchange == null) {
            return;
        }
        if (command.equals("reset") && left > 0) {
            exchanges.remove(id);
            channel.writeAndFlush(new DefaultSpdyRstStreamFrame(id, SpdyStreamStatus.CANCEL));
            if (--left == 0) {
                request(channel, "GET", args[4], null);
            }
            return;
        }
        exchange.body.add(frame.content());
        if (frame.isLast()) {
            exchanges.remove(id);
            done(id, exchange);
        }
    }

    private void done(int id, Exchange exchange) {
        String answer = exchange.answer();
        left--;
        switch (command) {
            case "parallel":
                if (first != null && !first.equals(answer)) {
                    fail(answer + " differs from " + first);
                }
                first = answer;
                if (left == 0) {
                    finish(args[3] + " " + answer);
                }
                return;
            case "push":
                if (id % 2 == 0) {
                    pushed.add(exchange.path + " " + answer);
                } else {
                    first = answer;
                }
                if (left == 0) {
                    finish(first + "\n" + String.join("\n", pushed));
                }
                return;
            case "drain":
                if (goaways != 1) {
                    fail(goaways + " GOAWAY frames");
                }
                finish(answer);
                return;
            default:
                finish(answer);
        }
    }

    private static void finish(String line) {
        System.out.println(line);
        System.exit(0);
    }

    private static void fail(String message) {
        System.out.println("FAIL " + message);
        System.exit(1);
    }
}

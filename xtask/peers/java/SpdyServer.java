import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.spdy.DefaultSpdyDataFrame;
import io.netty.handler.codec.spdy.DefaultSpdyHeadersFrame;
import io.netty.handler.codec.spdy.DefaultSpdyPingFrame;
import io.netty.handler.codec.spdy.DefaultSpdySynReplyFrame;
import io.netty.handler.codec.spdy.DefaultSpdySynStreamFrame;
import io.netty.handler.codec.spdy.SpdyDataFrame;
import io.netty.handler.codec.spdy.SpdyFrame;
import io.netty.handler.codec.spdy.SpdyGoAwayFrame;
import io.netty.handler.codec.spdy.SpdyHeadersFrame;
import io.netty.handler.codec.spdy.SpdyPingFrame;
import io.netty.handler.codec.spdy.SpdyRstStreamFrame;
import io.netty.handler.codec.spdy.SpdySynReplyFrame;
import io.netty.handler.codec.spdy.SpdySynStreamFrame;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;

/**
 * java SpdyServer PORT FOLDER [CERT KEY]: Netty as a server of SPDY/3.1, with TLS
 * and ALPN if it has a certificate.
 *
 * GET /NAME, POST /digest and POST /echo, and
 *   GET /ping     sends PING and answers once it is back
 *   GET /goaway   sends GOAWAY between the head of the answer and its body
 *   GET /push     pushes /small.txt (its status comes later, in HEADERS) and
 *                 /400kb.bin (its status is in the SYN_STREAM)
 * It prints a line for every request, GOAWAY and RST_STREAM.
 */
public final class SpdyServer extends SimpleChannelInboundHandler<SpdyFrame> {
    private final Path folder;
    /** What every request must have (draft 3.1, section 3.2.1). */
    private static final String[] REQUIRED = {":method", ":path", ":version", ":host", ":scheme"};

    private final Map<Integer, Upload> uploads = new HashMap<>();
    private int waitsForPing;
    private int nextPing = 2;
    private int nextPush = 2;

    private SpdyServer(Path folder) {
        this.folder = folder;
    }

    public static void main(String[] args) throws Exception {
        SSLContext tls = args.length > 2 ? Tls.server(args[2], args[3]) : null;
        Path folder = Path.of(args[1]);
        ServerBootstrap bootstrap = new ServerBootstrap()
            .group(new NioEventLoopGroup(2))
            .channel(NioServerSocketChannel.class)
            .childHandler(new ChannelInitializer<Channel>() {
                @Override protected void initChannel(Channel channel) {
                    SpdyPeer.fill(channel, tls, true, new SpdyServer(folder));
                }
            });
        bootstrap.bind("127.0.0.1", Integer.parseInt(args[0])).sync().channel().closeFuture().sync();
    }

    @Override
    protected void channelRead0(ChannelHandlerContext ctx, SpdyFrame frame) throws IOException {
        if (frame instanceof SpdySynStreamFrame) {
            answer(ctx.channel(), (SpdySynStreamFrame) frame);
        } else if (frame instanceof SpdyDataFrame) {
            data(ctx.channel(), (SpdyDataFrame) frame);
        } else if (frame instanceof SpdyHeadersFrame) {
            trailers(ctx.channel(), (SpdyHeadersFrame) frame);
        } else if (frame instanceof SpdyPingFrame) {
            if (waitsForPing != 0) {
                SpdyPeer.sendText(ctx.channel(), waitsForPing, "pong");
                waitsForPing = 0;
            }
        } else if (frame instanceof SpdyGoAwayFrame) {
            System.out.println("goaway " + ((SpdyGoAwayFrame) frame).status());
        } else if (frame instanceof SpdyRstStreamFrame) {
            uploads.remove(((SpdyRstStreamFrame) frame).streamId());
            System.out.println("rst " + ((SpdyRstStreamFrame) frame).status());
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable error) {
        System.out.println("error: " + error);
        ctx.close();
    }

    private void answer(Channel channel, SpdySynStreamFrame request) throws IOException {
        int id = request.streamId();
        if (request.isUnidirectional()) {
            // Nobody waits for an answer.
            return;
        }
        if (request.isTruncated()) {
            head(channel, id, "431");
            return;
        }
        for (String name : REQUIRED) {
            if (text(request.headers().get(name)).isEmpty()) {
                head(channel, id, "400");
                return;
            }
        }
        String method = text(request.headers().get(":method"));
        String path = text(request.headers().get(":path"));
        System.out.println(method + " " + path + " " + text(request.headers().get(":version"))
            + " " + text(request.headers().get(":scheme")));
        if (!path.startsWith("/")) {
            head(channel, id, "400");
            return;
        }
        if (method.equals("POST")) {
            Upload upload = new Upload(path.equals("/echo"), text(request.headers().get("content-length")));
            if (!upload.isPlausible()) {
                head(channel, id, "400");
                return;
            }
            uploads.put(id, upload);
            if (upload.echo) {
                reply(channel, id, "200", -1);
            }
            if (request.isLast()) {
                finish(channel, id);
            }
            return;
        }
        if (method.equals("HEAD")) {
            Path file = folder.resolve(path.substring(1));
            head(channel, id, Files.isRegularFile(file) ? "200" : "404");
            return;
        }
        switch (path) {
            case "/hello":
                reply(channel, id, "200", -1);
                SpdyPeer.sendText(channel, id, "hello from netty\n");
                return;
            case "/ping":
                reply(channel, id, "200", -1);
                waitsForPing = id;
                channel.writeAndFlush(new DefaultSpdyPingFrame(nextPing));
                nextPing += 2;
                return;
            case "/goaway":
                reply(channel, id, "200", -1);
                // Closes once the streams are done.
                channel.close();
                channel.eventLoop().schedule(
                    () -> SpdyPeer.sendText(channel, id, "last words ".repeat(1000)), 50, TimeUnit.MILLISECONDS);
                return;
            case "/push":
                push(channel, request, "/small.txt", false);
                push(channel, request, "/400kb.bin", true);
                reply(channel, id, "200", -1);
                SpdyPeer.sendText(channel, id, "pushed\n");
                return;
            default:
                Path file = folder.resolve(path.substring(1));
                if (Files.isRegularFile(file)) {
                    reply(channel, id, "200", Files.size(file));
                    SpdyPeer.sendFile(channel, id, file);
                } else {
                    reply(channel, id, "404", -1);
                    SpdyPeer.sendText(channel, id, "no such file\n");
                }
        }
    }

    private void data(Channel channel, SpdyDataFrame frame) {
        int id = frame.streamId();
        Upload upload = uploads.get(id);
        if (upload == null) {
            return;
        }
        upload.body.add(frame.content());
        if (upload.echo) {
            DefaultSpdyDataFrame echo = new DefaultSpdyDataFrame(id, frame.content().retain());
            echo.setLast(frame.isLast());
            channel.writeAndFlush(echo);
        }
        if (frame.isLast()) {
            finish(channel, id);
        }
    }

    /** HEADERS may end a request, and may be more than this server takes. */
    private void trailers(Channel channel, SpdyHeadersFrame frame) {
        int id = frame.streamId();
        if (!uploads.containsKey(id)) {
            return;
        }
        if (frame.isTruncated()) {
            uploads.remove(id);
            head(channel, id, "431");
        } else if (frame.isLast()) {
            finish(channel, id);
        }
    }

    /** The body of a request is complete. */
    private void finish(Channel channel, int id) {
        Upload upload = uploads.remove(id);
        if (upload == null || upload.echo) {
            return;
        }
        if (upload.isComplete()) {
            reply(channel, id, "200", -1);
            SpdyPeer.sendText(channel, id, upload.body.digest());
        } else {
            head(channel, id, "400");
        }
    }

    /** A body that comes. */
    private static final class Upload {
        final SpdyPeer.Body body = new SpdyPeer.Body();
        final boolean echo;
        final String declared;

        Upload(boolean echo, String declared) {
            this.echo = echo;
            this.declared = declared;
        }

        boolean isPlausible() {
            return declared.isEmpty() || declared.matches("[0-9]{1,18}");
        }

        boolean isComplete() {
            return declared.isEmpty() || Long.parseLong(declared) == body.length;
        }
    }

    /** An answer without content. */
    private static void head(Channel channel, int id, String status) {
        SpdySynReplyFrame reply = new DefaultSpdySynReplyFrame(id);
        fill(reply, status);
        reply.setLast(true);
        channel.writeAndFlush(reply);
    }

    private static void reply(Channel channel, int id, String status, long length) {
        SpdySynReplyFrame reply = new DefaultSpdySynReplyFrame(id);
        fill(reply, status);
        // Two values of one name: they travel with a zero between them.
        reply.headers().add("x-twice", "one");
        reply.headers().add("x-twice", "two");
        if (length >= 0) {
            reply.headers().add("content-length", Long.toString(length));
        }
        channel.writeAndFlush(reply);
    }

    private void push(Channel channel, SpdySynStreamFrame parent, String path, boolean whole) throws IOException {
        int id = nextPush;
        nextPush += 2;
        SpdySynStreamFrame promise = new DefaultSpdySynStreamFrame(id, parent.streamId(), (byte) 4);
        promise.setUnidirectional(true);
        promise.headers().add(":scheme", parent.headers().get(":scheme"));
        promise.headers().add(":host", parent.headers().get(":host"));
        promise.headers().add(":path", path);
        if (whole) {
            fill(promise, "200");
        }
        channel.writeAndFlush(promise);
        if (!whole) {
            SpdyHeadersFrame head = new DefaultSpdyHeadersFrame(id);
            fill(head, "200");
            channel.writeAndFlush(head);
        }
        SpdyPeer.sendFile(channel, id, folder.resolve(path.substring(1)));
    }

    private static void fill(SpdyHeadersFrame head, String status) {
        head.headers().add(":status", status);
        head.headers().add(":version", "HTTP/1.1");
        head.headers().add("server", "netty");
    }

    /** A header's value, empty if it is not there. */
    private static String text(CharSequence value) {
        return value == null ? "" : value.toString();
    }
}

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.codec.spdy.DefaultSpdyDataFrame;
import io.netty.handler.codec.spdy.SpdyDataFrame;
import io.netty.handler.codec.spdy.SpdyFrameCodec;
import io.netty.handler.codec.spdy.SpdySessionHandler;
import io.netty.handler.codec.spdy.SpdyVersion;
import io.netty.handler.ssl.SslHandler;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;

/** What Netty's client and server share: the pipeline, bodies. */
final class SpdyPeer {
    private static final int PIECE = 64 * 1024;

    private SpdyPeer() {}

    /** SPDY/3.1 frames with Netty's own flow control; with `tls` if it is not null. */
    static void fill(Channel channel, SSLContext tls, boolean server, ChannelHandler last) {
        channel.config().setOption(ChannelOption.TCP_NODELAY, true);
        ChannelPipeline pipeline = channel.pipeline();
        if (tls != null) {
            pipeline.addLast(new SslHandler(engine(tls, server)));
        }
        pipeline.addLast(new SpdyFrameCodec(SpdyVersion.SPDY_3_1));
        pipeline.addLast(new SpdySessionHandler(SpdyVersion.SPDY_3_1, server));
        pipeline.addLast(last);
    }

    /** Debian's Netty cannot do ALPN by itself, the JDK can. */
    private static SSLEngine engine(SSLContext tls, boolean server) {
        SSLEngine engine = tls.createSSLEngine();
        engine.setUseClientMode(!server);
        SSLParameters parameters = engine.getSSLParameters();
        parameters.setApplicationProtocols(new String[] {"spdy/3.1"});
        engine.setSSLParameters(parameters);
        return engine;
    }

    /** Sends a file as the body of a stream, a piece after the other was taken. */
    static void sendFile(Channel channel, int stream, Path path) throws IOException {
        sendPiece(channel, stream, Files.newInputStream(path), Files.size(path));
    }

    private static void sendPiece(Channel channel, int stream, InputStream in, long left) throws IOException {
        byte[] piece = in.readNBytes((int) Math.min(left, PIECE));
        long rest = left - piece.length;
        SpdyDataFrame frame = new DefaultSpdyDataFrame(stream, Unpooled.wrappedBuffer(piece));
        frame.setLast(rest == 0);
        channel.writeAndFlush(frame).addListener(done -> {
            if (rest > 0 && done.isSuccess()) {
                sendPiece(channel, stream, in, rest);
            } else {
                in.close();
            }
        });
    }

    static void sendText(Channel channel, int stream, String text) {
        ByteBuf bytes = Unpooled.copiedBuffer(text, StandardCharsets.UTF_8);
        SpdyDataFrame frame = new DefaultSpdyDataFrame(stream, bytes);
        frame.setLast(true);
        channel.writeAndFlush(frame);
    }

    /** Length and SHA-256 of a body that comes in pieces. */
    static final class Body {
        private final MessageDigest sha256;
        private final StringBuilder start = new StringBuilder();
        long length;

        Body() {
            try {
                sha256 = MessageDigest.getInstance("SHA-256");
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
        }

        void add(ByteBuf data) {
            length += data.readableBytes();
            if (length <= 64) {
                start.append(data.toString(StandardCharsets.UTF_8));
            }
            sha256.update(data.nioBuffer());
        }

        /** The body itself, if it is no longer than a digest. */
        String text() {
            return start.toString();
        }

        String digest() {
            StringBuilder hex = new StringBuilder();
            for (byte octet : sha256.digest()) {
                hex.append(String.format("%02x", octet));
            }
            return hex.toString();
        }
    }
}

//! A SPDY peer that a test controls frame by frame.

#![allow(dead_code, reason = "every test program uses its part")]

use bytes::{BufMut, Bytes, BytesMut};
use lacewing_conn::Version;
use lacewing_frames::spdy::{
    Compression, Decoder, DecoderLimits, Encoder, Message, SynStreamHead, WireVersion,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) type Fields = Vec<(Bytes, Bytes)>;
pub(crate) type Frame = Message<Fields>;

pub(crate) struct Peer<IO> {
    pub(crate) io: IO,
    decoder: Decoder<Fields>,
    pub(crate) encoder: Encoder,
    pub(crate) input: BytesMut,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Peer<IO> {
    pub(crate) fn new(io: IO, version: Version) -> Self {
        let wire = version.spdy_frames().unwrap_or(WireVersion::V3);
        Self {
            io,
            decoder: Decoder::new(wire, DecoderLimits::default()),
            encoder: Encoder::new(wire, Compression::Zlib(6)),
            input: BytesMut::new(),
        }
    }

    /// Sends the frames that `build` encodes.
    pub(crate) async fn send(&mut self, build: impl FnOnce(&mut Encoder, &mut BytesMut)) {
        let mut bytes = BytesMut::new();
        build(&mut self.encoder, &mut bytes);
        self.io.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn open(&mut self, id: u32, fields: &[(&str, &str)]) {
        self.send(|encoder, bytes| syn_stream(encoder, bytes, id, fields))
            .await;
    }

    /// The same, with all parameters of SYN_STREAM.
    pub(crate) async fn open_as(&mut self, head: SynStreamHead, fields: &[(&str, &str)]) {
        self.send(|encoder, bytes| syn_stream_as(encoder, bytes, head, fields))
            .await;
    }

    pub(crate) async fn reply(&mut self, id: u32, fields: &[(&str, &str)]) {
        self.send(|encoder, bytes| {
            encoder
                .syn_reply(bytes, id, false, |block| {
                    for (name, value) in fields {
                        block.field(name.as_bytes(), [value.as_bytes()]);
                    }
                })
                .unwrap();
        })
        .await;
    }

    pub(crate) async fn data(&mut self, id: u32, data: &[u8], fin: bool) {
        self.send(|encoder, bytes| {
            encoder.data_head(bytes, id, data.len() as u32, fin);
            bytes.put_slice(data);
        })
        .await;
    }

    /// The next frame of any kind; `None` if the other side has closed.
    pub(crate) async fn any(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(frame);
            }
            if self.io.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next frame that is neither SETTINGS nor WINDOW_UPDATE, which peers without flow control
    /// ignore.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.any().await {
                Some(Message::Settings(_) | Message::WindowUpdate(_)) => {}
                other => return other,
            }
        }
    }

    pub(crate) async fn expect_open(&mut self, id: u32) -> Fields {
        match self.next().await {
            Some(Message::SynStream {
                stream_id, block, ..
            }) if stream_id == id => block.list.unwrap(),
            other => panic!("SYN_STREAM {id} expected: {other:?}"),
        }
    }

    pub(crate) async fn expect_reply(&mut self, id: u32) -> Fields {
        match self.next().await {
            Some(Message::SynReply {
                stream_id, block, ..
            }) if stream_id == id => block.list.unwrap(),
            other => panic!("SYN_REPLY {id} expected: {other:?}"),
        }
    }

    /// All data of a stream up to FIN, if no other frame interrupts it.
    pub(crate) async fn expect_data(&mut self, id: u32) -> Vec<u8> {
        let mut data = Vec::new();
        loop {
            match self.next().await {
                Some(Message::Data {
                    stream_id,
                    payload,
                    fin,
                    ..
                }) if stream_id == id => {
                    data.extend_from_slice(&payload);
                    if fin {
                        return data;
                    }
                }
                other => panic!("DATA {id} expected: {other:?}"),
            }
        }
    }
}

pub(crate) fn syn_stream(
    encoder: &mut Encoder,
    bytes: &mut BytesMut,
    id: u32,
    fields: &[(&str, &str)],
) {
    syn_stream_as(encoder, bytes, SynStreamHead::new(id), fields);
}

fn syn_stream_as(
    encoder: &mut Encoder,
    bytes: &mut BytesMut,
    head: SynStreamHead,
    fields: &[(&str, &str)],
) {
    encoder
        .syn_stream(bytes, head, |block| {
            for (name, value) in fields {
                block.field(name.as_bytes(), [value.as_bytes()]);
            }
        })
        .unwrap();
}

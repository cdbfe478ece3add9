//! `exec` and `attach` over raw streams of SPDY/3.1 or HTTP/2: the streams that the client opens.

use http::HeaderMap;
use lacewing_conn::driver::{Mux, RawStream};
use tokio_util::sync::CancellationToken;

use super::{
    command_io::{CommandInput, CommandOutput, SharedSink},
    exec_session::{Ending, EndingTransport, ExecSession},
    link::Link,
    offer::{CommandOffer, CommandStreams, Terminal},
    raw_ending::RawEnding,
    terminal_sizes::{SizeSender, terminal_sizes},
};
use crate::{
    error::KubeError,
    outcome::CommandOutcome,
    protocol::RemoteCommandProtocol,
    sink::Sink,
    stream_headers::{StreamHeaders, StreamType},
};

/// The streams of a session that is about to start.
#[derive(Debug, Default)]
struct Opened {
    error: Option<RawStream>,
    stdin: Option<RawStream>,
    stdout: Option<RawStream>,
    stderr: Option<RawStream>,
    resize: Option<RawStream>,
}

/// The streams that the client must open.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    offer: CommandStreams,
    resize: bool,
}

/// Waits for the streams of a session, and answers each at once.
pub(super) async fn start(
    link: Link,
    protocol: RemoteCommandProtocol,
    offer: &CommandOffer,
) -> Result<ExecSession, KubeError> {
    let streams = offer.streams;
    let has_terminal = streams.terminal == Terminal::Attached;
    let wanted = Wanted {
        offer: streams,
        resize: has_terminal && protocol.has_resize_stream(),
    };
    let limit = offer.limits.stream_creation_timeout;
    let mut opened = Opened::default();
    let collecting = opened.collect(&link, wanted);
    match tokio::time::timeout(limit, collecting).await {
        Ok(all) => all?,
        // A terminal without sizes is still of use.
        Err(_)
            if opened.is_complete(Wanted {
                resize: false,
                ..wanted
            }) => {}
        Err(_) => {
            let event = "a stream that the client asked for";
            let error = KubeError::TimedOut { event, limit };
            let status = CommandOutcome::Failed(error.to_string()).encode(protocol);
            let ending = RawEnding {
                error: opened.error,
                halves: Vec::new(),
                link,
                end_of_session: CancellationToken::new().drop_guard(),
            };
            tokio::spawn(ending.finish(Vec::new(), status, offer.limits.finish_timeout));
            return Err(error);
        }
    }
    let (sizes, terminal) = terminal_sizes();
    let end_of_session = CancellationToken::new();
    let late = LateStreams {
        sizes: has_terminal.then_some(sizes),
        end_of_session: end_of_session.clone(),
    };
    if let Some(stream) = opened.resize {
        late.start_resize(stream);
    }
    tokio::spawn(late.answer(link.mux().clone()));
    let activity = link.activity().clone();
    let mut stdin = None;
    let mut halves = Vec::new();
    if let Some(stream) = opened.stdin {
        let (reader, writer) = stream.into_split();
        stdin = Some(CommandInput::raw(reader, activity.clone()));
        halves.push(writer);
    }
    let mut sinks = Vec::new();
    let mut output = |stream: Option<RawStream>| {
        let sink = SharedSink::new(Sink::Raw(stream?));
        sinks.push(sink.clone());
        Some(CommandOutput::new(sink, activity.clone()))
    };
    let (stdout, stderr) = (output(opened.stdout), output(opened.stderr));
    let cancellation = link.cancellation().clone();
    let transport = EndingTransport::Raw(Box::new(RawEnding {
        error: opened.error,
        halves,
        link,
        end_of_session: end_of_session.drop_guard(),
    }));
    Ok(ExecSession {
        stdin,
        stdout,
        stderr,
        sizes: has_terminal.then_some(terminal),
        ending: Ending::new(protocol, sinks, transport, cancellation, &offer.limits),
    })
}

impl Opened {
    fn is_complete(&self, wanted: Wanted) -> bool {
        let missing = |is_wanted: bool, stream: &Option<RawStream>| is_wanted && stream.is_none();
        let Wanted { offer, resize } = wanted;
        !(missing(true, &self.error)
            || missing(offer.stdin, &self.stdin)
            || missing(offer.stdout, &self.stdout)
            || missing(offer.stderr, &self.stderr)
            || missing(resize, &self.resize))
    }

    async fn collect(&mut self, link: &Link, wanted: Wanted) -> Result<(), KubeError> {
        while !self.is_complete(wanted) {
            let (headers, stream) = link.mux().accept().await.ok_or(KubeError::Closed)?;
            stream.reply(HeaderMap::new());
            if let Some(place) = self.place(&headers, wanted) {
                *place = Some(stream);
            }
            // Any other stream is answered, since Go's clients wait for that, and ends.
        }
        Ok(())
    }

    /// Returns the place of a stream; `None` if it is unknown, not wanted, or taken.
    fn place(&mut self, headers: &HeaderMap, wanted: Wanted) -> Option<&mut Option<RawStream>> {
        let parsed = StreamHeaders::parse_command(headers).ok()?;
        let (is_wanted, place) = match parsed.stream_type {
            StreamType::Error => (true, &mut self.error),
            StreamType::Stdin => (wanted.offer.stdin, &mut self.stdin),
            StreamType::Stdout => (wanted.offer.stdout, &mut self.stdout),
            StreamType::Stderr => (wanted.offer.stderr, &mut self.stderr),
            StreamType::Resize => (wanted.resize, &mut self.resize),
            StreamType::Data => return None,
        };
        (is_wanted && place.is_none()).then_some(place)
    }
}

/// Streams that the client opens after the start. Go's clients wait for the answer to
/// each, so an unanswered one would hang them.
struct LateStreams {
    sizes: Option<SizeSender>,
    end_of_session: CancellationToken,
}

impl LateStreams {
    async fn answer(self, mux: Mux) {
        while let Some((headers, stream)) = mux.accept().await {
            stream.reply(HeaderMap::new());
            let parsed = StreamHeaders::parse_command(&headers);
            if parsed.is_ok_and(|parsed| parsed.stream_type == StreamType::Resize) {
                self.start_resize(stream);
            }
        }
    }

    fn start_resize(&self, stream: RawStream) {
        if let Some(sizes) = &self.sizes {
            let end = self.end_of_session.clone();
            tokio::spawn(sizes.clone().read(stream, end));
        }
    }
}

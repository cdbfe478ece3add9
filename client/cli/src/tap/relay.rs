//! One connection: its bytes pass, and its frames are shown.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use lacewing_client::{Transport, Version};
use lacewing_conform::Side;
use lacewing_server::live::Board;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::Notify,
};

use super::{
    pcap::{Capture, Flow},
    watching::{Tls, Watching},
};
use crate::{
    conversation::Conversation,
    detect::Content,
    frame_output::{Form, Output},
    frame_text::FrameFilter,
    status::Failure,
};

/// The bytes that one read takes.
const READ: usize = 32 << 10;

/// The facts of a connection.
pub(super) struct Relay<'a> {
    pub(super) number: usize,
    pub(super) client: SocketAddr,
    pub(super) server: Option<SocketAddr>,
    pub(super) version: Option<Version>,
    pub(super) start: Instant,
    pub(super) filter: &'a FrameFilter,
    /// `None` to print nothing.
    pub(super) form: Option<Form>,
    pub(super) capture: Option<&'a Capture>,
    /// The live page, if there is one.
    pub(super) board: Option<&'a Board>,
    pub(super) tls: Tls,
}

/// What both directions change.
struct Shown<'a> {
    relay: &'a Relay<'a>,
    conversation: Conversation,
    flow: Option<Flow>,
    watching: Option<Watching>,
    ended: bool,
}

impl Relay<'_> {
    /// Passes bytes until both directions have ended. `first` are bytes of the client that were
    /// read before.
    ///
    /// # Errors
    ///
    /// The output or the capture failed. What the transports do is no error.
    pub(super) async fn run(
        &self,
        client: Box<dyn Transport>,
        server: Box<dyn Transport>,
        first: &[u8],
    ) -> Result<(), Failure> {
        let (client_reads, client_writes) = tokio::io::split(client);
        let (server_reads, mut server_writes) = tokio::io::split(server);
        let wake = Arc::new(Notify::new());
        let shown = Mutex::new(Shown::new(self, &wake));
        with(&shown, |shown| shown.begin())?;
        if !first.is_empty() {
            with(&shown, |shown| shown.take(Side::Client, first))?;
            let written = write(Side::Client, first, &mut server_writes, &shown).await;
            if written.is_err() {
                return with(&shown, |shown| shown.finish());
            }
        }
        let passing = async {
            tokio::try_join!(
                pass(Side::Client, client_reads, server_writes, &shown),
                pass(Side::Server, server_reads, client_writes, &shown),
            )
        };
        tokio::select! {
            passed = passing => passed?,
            never = sample(&wake, &shown) => match never {},
        };
        with(&shown, |shown| shown.finish())
    }
}

/// Passes the bytes of one side, and its end.
async fn pass(
    sender: Side,
    mut from: ReadHalf<Box<dyn Transport>>,
    mut to: WriteHalf<Box<dyn Transport>>,
    shown: &Mutex<Shown<'_>>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; READ];
    loop {
        // A transport that fails has ended.
        let length = from.read(&mut buffer).await.unwrap_or(0);
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        with(shown, |shown| shown.take(sender, bytes))?;
        if write(sender, bytes, &mut to, shown).await.is_err() {
            break;
        }
    }
    // The other side sees the end; it may be gone already.
    let _ = to.shutdown().await;
    with(shown, |shown| shown.end_of(sender))
}

/// Writes what a side has sent to the other one.
async fn write(
    sender: Side,
    mut bytes: &[u8],
    to: &mut WriteHalf<Box<dyn Transport>>,
    shown: &Mutex<Shown<'_>>,
) -> io::Result<()> {
    with_page(shown, |page| page.write_begins(sender));
    let writing = async {
        while !bytes.is_empty() {
            let length = to.write(bytes).await?;
            if length == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(length..).unwrap_or_default();
            with_page(shown, |page| page.wrote(sender, length));
        }
        to.flush().await
    };
    let written = writing.await;
    with_page(shown, |page| page.write_ends(sender));
    written
}

/// Shows the connection's state on the live page, whenever it is due.
async fn sample(wake: &Notify, shown: &Mutex<Shown<'_>>) -> Infallible {
    loop {
        wake.notified().await;
        with_page(shown, Watching::sample);
    }
}

/// Does this if there is a live page.
fn with_page(shown: &Mutex<Shown<'_>>, act: impl FnOnce(&mut Watching)) {
    with(shown, |shown| {
        if let Some(watching) = &mut shown.watching {
            act(watching);
        }
    });
}

fn with<'a, T>(shown: &Mutex<Shown<'a>>, act: impl FnOnce(&mut Shown<'a>) -> T) -> T {
    act(&mut shown.lock().unwrap_or_else(PoisonError::into_inner))
}

impl<'a> Shown<'a> {
    fn new(relay: &'a Relay<'a>, wake: &Arc<Notify>) -> Self {
        let conversation = Conversation::new(relay.version);
        let watching = relay
            .board
            .map(|board| Watching::new(board.clone(), relay.client, relay.tls, Arc::clone(wake)));
        Self {
            relay,
            conversation,
            watching,
            flow: None,
            ended: false,
        }
    }

    fn server(&self) -> SocketAddr {
        // A Unix socket has no address.
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        self.relay.server.unwrap_or(nowhere)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        match self.relay.version {
            Some(version) => self.detected(version),
            None => Ok(()),
        }
    }

    /// The protocol is known.
    fn detected(&mut self, version: Version) -> Result<(), Failure> {
        if let Some(watching) = &mut self.watching {
            watching.speaks(version);
        }
        let (relay, server) = (self.relay, self.server());
        self.show(|output| output.introduce(relay.number, relay.client, server, version))
    }

    fn take(&mut self, sender: Side, bytes: &[u8]) -> Result<(), Failure> {
        let taken = self.conversation.take(sender, bytes);
        if let Some(version) = taken.detected {
            self.detected(version)?;
        }
        if let Some(watching) = &mut self.watching {
            watching.count(sender, bytes.len(), self.conversation.content());
            watching.take(&taken.frames);
        }
        let number = self.relay.number;
        self.show(|output| {
            for (sender, frame) in &taken.frames {
                output.frame(number, *sender, frame);
            }
        })?;
        self.record(sender, bytes)
    }

    fn record(&mut self, sender: Side, bytes: &[u8]) -> Result<(), Failure> {
        let Some(capture) = self.relay.capture else {
            return Ok(());
        };
        let (client, server) = (self.relay.client, self.server());
        let version = self.conversation.version();
        let flow = self
            .flow
            .get_or_insert_with(|| Flow::new(client, server, version));
        capture.write(flow, sender, bytes)
    }

    fn end_of(&mut self, sender: Side) -> Result<(), Failure> {
        match (self.relay.capture, &mut self.flow) {
            (Some(capture), Some(flow)) => capture.end(flow, sender),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let remark = match (self.conversation.version(), self.conversation.content()) {
            (Some(_), _) => "closed",
            (None, Content::Tls) => "closed; it spoke TLS: use --tls",
            (None, Content::Http1) => "closed; it spoke HTTP/1.1",
            (None, Content::Undecided) => "closed without a frame",
            (None, _) => "closed; its protocol is unknown",
        };
        let number = self.relay.number;
        self.show(|output| output.remark(number, remark))
    }

    fn show(&self, add: impl FnOnce(&mut Output<'_>)) -> Result<(), Failure> {
        let Some(form) = self.relay.form else {
            return Ok(());
        };
        let mut output = Output::new(self.relay.filter, form);
        output.at(self.relay.start.elapsed());
        add(&mut output);
        output.write()
    }
}

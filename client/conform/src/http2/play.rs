//! The scripted peer: plays a script on a connection and judges what comes back.

mod bulk;
mod describe;

use std::time::Duration;

use bytes::Buf;
use lacewing_frames::http2::{Decoder, DecoderLimits, Head, Message, PREFACE, SettingId};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{
    Conditions, Need, Outcome, Side, Strictness,
    link::Link,
    transcript::{Stop, Transcript},
    verdict::Verdict,
};

use super::{
    block::status,
    expect::Expect,
    frame::{self, Frame, Id},
    monitor::Monitor,
    record::{List, Record},
    script::{Script, Start, Step},
};

/// Plays a script.
pub(crate) async fn play<T>(
    script: &Script,
    tested: Side,
    io: T,
    conditions: &Conditions,
) -> Outcome
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut player = Player::new(io, tested, *conditions);
    let played = player.steps(script).await;
    player
        .transcript
        .outcome(played, &player.monitor.violations)
}

/// One side of a connection, with the tested one at the other end.
pub(super) struct Player<T> {
    link: Link<T>,
    tested: Side,
    conditions: Conditions,
    decoder: Decoder<List>,
    preface: Preface,
    pub(super) record: Record,
    monitor: Monitor,
    acknowledges: bool,
    pings: u32,
    pub(super) transcript: Transcript,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Preface {
    Expected,
    Done,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Player<T> {
    pub(super) fn new(io: T, tested: Side, conditions: Conditions) -> Self {
        Self {
            link: Link::new(io, conditions),
            tested,
            conditions,
            // What the tested side may send is for the monitor to say.
            decoder: Decoder::new(DecoderLimits::default().with(|limits| {
                limits.max_header_list_size = usize::MAX;
                limits.max_header_fields = usize::MAX;
                limits.max_continuations = u32::MAX;
                limits.max_header_block = usize::MAX;
                limits.max_settings_entries = usize::MAX;
                limits.max_origins = usize::MAX;
            })),
            preface: match tested {
                Side::Client => Preface::Expected,
                Side::Server => Preface::Done,
            },
            record: Record::default(),
            monitor: Monitor::new(tested),
            acknowledges: true,
            pings: 0,
            transcript: Transcript::default(),
        }
    }

    pub(super) async fn steps(&mut self, script: &Script) -> Result<(), Stop> {
        if let Start::Handshake(entries) = &script.start {
            self.handshake(entries).await?;
        }
        for step in &script.steps {
            self.step(step).await?;
        }
        Ok(())
    }

    /// SETTINGS of both sides, acknowledged.
    pub(super) async fn handshake(&mut self, entries: &[(SettingId, u32)]) -> Result<(), Stop> {
        if self.tested == Side::Server {
            self.transcript.line("> connection preface".into());
            self.link.write(PREFACE).await;
        }
        self.send(&[frame::settings(entries)]).await;
        self.until(&Expect::SettingsAcks(1)).await
    }

    async fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Send(frames) => self.send(frames).await,
            Step::Bytes(bytes) => {
                self.monitor.sent_bytes();
                let shown = bytes.get(..48).unwrap_or(bytes);
                self.transcript.line(format!(
                    "> {} bytes \"{}\"",
                    bytes.len(),
                    shown.escape_ascii()
                ));
                self.link.write(bytes).await;
            }
            Step::Expect(expect) => self.until(expect).await?,
            Step::Alive => self.alive().await?,
            Step::Settle => {
                self.alive().await?;
                self.listen(self.moment()).await;
            }
            Step::TooLong(frame) => self.too_long(frame).await?,
            Step::Overrun(id) => self.overrun(*id).await?,
            Step::Push(need) => self.push(*need)?,
            Step::Mark => self.record.mark = self.record.requests.len(),
            Step::AnswerAll => self.answer_all().await,
            Step::Another => self.requests(self.record.mark.saturating_add(1)).await?,
            Step::Requests(number) => self.requests(*number).await?,
            Step::Body => self.body()?,
            Step::Holds(expect) => {
                if let Verdict::Missed(got) = self.judge(expect) {
                    return Err(self.failed(expect, got));
                }
            }
            Step::Upload(id, length) => self.upload(*id, *length, bulk::Padding::None).await?,
            Step::PaddedUpload(id, frames) => {
                self.upload(*id, *frames, bulk::Padding::Most).await?
            }
            Step::Finish => {
                self.transcript.line("> end of the transport".into());
                self.link.finish().await;
            }
            Step::WithholdAck => self.acknowledges = false,
        }
        Ok(())
    }

    /// What a client under test lets us do.
    fn push(&self, need: Need) -> Result<(), Stop> {
        let allowed = self.record.setting(SettingId::ENABLE_PUSH) != Some(0);
        let met = match need {
            Need::Push => allowed,
            _ => !allowed,
        };
        if met {
            Ok(())
        } else {
            Err(Stop::Skipped(format!("needs {need}")))
        }
    }

    pub(super) async fn send(&mut self, frames: &[Frame]) {
        let mut bytes = Vec::new();
        for frame in frames {
            self.transcript.line(frame.describe(&self.record.requests));
            self.monitor.sent(frame, &self.record.requests);
            bytes.extend_from_slice(&frame.encode(&self.record.requests));
        }
        self.link.write(&bytes).await;
    }

    /// A PING is answered.
    async fn alive(&mut self) -> Result<(), Stop> {
        self.pings = self.pings.wrapping_add(1);
        let mut payload = *b"ping0000";
        if let Some((_, number)) = payload.split_last_chunk_mut::<4>() {
            *number = self.pings.to_be_bytes();
        }
        self.send(&[frame::ping(&payload)]).await;
        self.until(&Expect::PingAck(payload)).await
    }

    async fn requests(&mut self, number: usize) -> Result<(), Stop> {
        let deadline = self.deadline();
        while self.record.requests.len() < number {
            if !self.read(deadline).await {
                let got = self.transcript.latest();
                if number > 1 && self.record.connection_error().is_none() {
                    return Err(Stop::Skipped(format!(
                        "needs {number} requests at once on a connection"
                    )));
                }
                return Err(Stop::Failed {
                    expected: "a request".into(),
                    got,
                });
            }
        }
        Ok(())
    }

    /// Answers the requests that came since the mark, and sets it.
    async fn answer_all(&mut self) {
        let ok = status("200");
        let answers: Vec<Frame> = (self.record.mark..self.record.requests.len())
            .map(|nth| frame::headers(Id::Request(nth, 0), &ok).end_stream())
            .collect();
        self.record.mark = self.record.requests.len();
        self.send(&answers).await;
    }

    /// The first request must have a body for the case to mean anything.
    fn body(&self) -> Result<(), Stop> {
        let first = self.record.requests.first();
        let ended = first
            .and_then(|id| self.record.stream(*id))
            .is_none_or(|stream| stream.ended && stream.content == 0);
        if ended {
            let need = Need::RequestBody;
            return Err(Stop::Skipped(format!("needs {need}")));
        }
        Ok(())
    }

    /// Waits until an expectation is met.
    pub(super) async fn until(&mut self, expect: &Expect) -> Result<(), Stop> {
        let deadline = self.deadline();
        loop {
            match self.judge(expect) {
                Verdict::Met => return Ok(()),
                Verdict::Missed(got) => return Err(self.failed(expect, got)),
                Verdict::Open => {}
            }
            if !self.read(deadline).await {
                return match self.judge(expect) {
                    Verdict::Met => Ok(()),
                    Verdict::Missed(got) => Err(self.failed(expect, got)),
                    Verdict::Open => Err(self.failed(expect, self.transcript.latest())),
                };
            }
        }
    }

    /// Reads for so long.
    pub(super) async fn listen(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while self.read(deadline).await {}
    }

    fn judge(&self, expect: &Expect) -> Verdict {
        expect.judge(&self.record, self.conditions.strictness)
    }

    fn failed(&self, expect: &Expect, got: String) -> Stop {
        let mut expected = expect.to_string();
        if self.conditions.strictness == Strictness::Usual
            && matches!(expect, Expect::ConnectionError(_))
        {
            expected.push_str(" (or the end of the connection)");
        }
        // A rule broken on the way explains more than what did not follow.
        let got = match self.monitor.violations.first() {
            Some(violation) => format!("{got}; and before: {violation}"),
            None => got,
        };
        Stop::Failed { expected, got }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.conditions.timeout
    }

    /// How long quiet is listened for.
    fn moment(&self) -> Duration {
        self.conditions.timeout / 10
    }

    /// Reads once and takes what came; `false` when nothing comes any more, or
    /// not in time.
    async fn read(&mut self, deadline: Instant) -> bool {
        if !self.link.read(deadline).await {
            return false;
        }
        self.take().await;
        if let (Some(how), None) = (&self.link.closed, &self.record.closed) {
            let how = how.clone();
            self.transcript.line(format!("< {how}"));
            self.record.closed = Some(how);
        }
        true
    }

    /// Decodes what was read, and answers what a peer has to.
    async fn take(&mut self) {
        let mut answers = Vec::new();
        loop {
            if self.preface == Preface::Expected {
                if self.link.input.len() < PREFACE.len() {
                    break;
                }
                self.preface = Preface::Done;
                if !self.link.input.starts_with(PREFACE) {
                    self.broken("no connection preface (RFC 9113 §3.4)".into());
                    break;
                }
                self.link.input.advance(PREFACE.len());
                self.transcript.line("< connection preface".into());
            }
            let head = Head::parse(&self.link.input);
            match self.decoder.decode(&mut self.link.input) {
                Ok(Some(message)) => self.message(&message, &mut answers),
                // A header block that goes on, or a frame that is not whole.
                Ok(None) if self.link.input.is_empty() || head == Head::parse(&self.link.input) => {
                    break;
                }
                Ok(None) => {}
                Err(error) => {
                    self.broken(format!("{error} ({})", error.section()));
                    break;
                }
            }
        }
        if !answers.is_empty() {
            self.send(&answers).await;
        }
    }

    fn message(&mut self, message: &Message<List>, answers: &mut Vec<Frame>) {
        self.transcript.line(describe::describe(message));
        self.monitor.received(message, &self.record);
        self.record.take(message, self.tested);
        match message {
            Message::Settings(_) if self.acknowledges => answers.push(frame::settings_ack()),
            Message::Ping { payload } => answers.push(frame::ping_ack(payload)),
            Message::SettingsAck => {
                let force = self.monitor.acknowledged();
                if let Some(size) = force.header_table_size {
                    self.decoder.set_header_table_size(size);
                }
                if let Some(size) = force.max_frame_size {
                    self.decoder.set_max_frame_size(size);
                }
            }
            _ => {}
        }
    }

    /// Nothing can be understood any more.
    fn broken(&mut self, why: String) {
        self.transcript.line(format!("< {why}"));
        self.monitor.violations.push(why.clone());
        self.link.closed = Some(why.clone());
        self.record.closed = Some(why);
    }
}

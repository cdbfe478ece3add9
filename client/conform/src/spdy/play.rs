//! The scripted peer: plays a script on a connection and judges what comes back.

mod describe;

use std::time::Duration;

use lacewing_frames::spdy::{Decoder, DecoderLimits, GoAwayStatus, Message};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{
    Conditions, Need, Outcome, Side, Strictness, Version,
    link::Link,
    transcript::{Stop, Transcript},
    verdict::Verdict,
};

use super::{
    block::{Zlib, layout},
    dialect::Dialect,
    expect::Expect,
    frame::{self, Frame, Id},
    monitor::Monitor,
    record::{List, Record, Stream},
    script::{Script, Step},
};

/// Bytes that are sent to see what happens beyond a limit.
const AFFORDABLE: u64 = 1 << 21;

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
    let mut player = Player::new(io, tested, script.version, *conditions);
    player.monitor.habits = script.habits;
    if let Some(compression) = script.compression {
        player.zlib = Zlib::compressor(layout(script.version), compression);
    }
    let played = player.steps(script).await;
    player
        .transcript
        .outcome(played, &player.monitor.violations)
}

/// One side of a connection, with the tested one at the other end.
pub(super) struct Player<T> {
    link: Link<T>,
    tested: Side,
    version: Version,
    conditions: Conditions,
    decoder: Decoder<List>,
    zlib: Zlib,
    pub(super) record: Record,
    monitor: Monitor,
    /// The id of our next PING.
    ping: u32,
    pub(super) transcript: Transcript,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Player<T> {
    pub(super) fn new(io: T, tested: Side, version: Version, conditions: Conditions) -> Self {
        Self {
            link: Link::new(io, conditions),
            tested,
            version,
            conditions,
            // What the tested side may send is for the monitor to say.
            decoder: Decoder::new(
                layout(version),
                DecoderLimits::default().with(|limits| {
                    limits.max_frame_size = u32::MAX;
                    limits.max_settings_entries = usize::MAX;
                    limits.max_certificates = Some(usize::MAX);
                }),
            ),
            zlib: Zlib::stored(),
            record: Record::default(),
            monitor: Monitor::new(tested, version),
            ping: match tested {
                Side::Server => 1001,
                Side::Client => 1002,
            },
            transcript: Transcript::default(),
        }
    }

    async fn steps(&mut self, script: &Script) -> Result<(), Stop> {
        for step in &script.steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Send(frames) => self.send(frames).await,
            Step::Expect(expect) => self.until(expect).await?,
            Step::Alive => self.alive().await?,
            Step::Settle => {
                self.alive().await?;
                self.listen(self.conditions.timeout / 10).await;
            }
            Step::Holds(expect) => {
                if let Verdict::Missed(got) = self.judge(expect) {
                    return Err(self.failed(expect, got));
                }
            }
            Step::Overrun(id) => self.overrun(*id).await?,
            Step::Upload(id, length) => self.upload(*id, *length).await?,
            Step::Requests(number) => self.requests(*number).await?,
            Step::Body => self.body()?,
            Step::Mark => self.record.mark = self.record.requests.len(),
            Step::AnswerAll => self.answer_all().await,
            Step::Another => self.requests(self.record.mark.saturating_add(1)).await?,
        }
        Ok(())
    }

    pub(super) async fn send(&mut self, frames: &[Frame]) {
        let mut bytes = Vec::new();
        for frame in frames {
            let requests = &self.record.requests;
            let line = frame.describe(requests);
            self.monitor.sent(frame, requests);
            let wire = frame.encode(layout(self.version), &mut self.zlib, requests);
            bytes.extend_from_slice(&wire);
            self.transcript.line(line);
        }
        self.link.write(&bytes).await;
    }

    /// A PING comes back.
    async fn alive(&mut self) -> Result<(), Stop> {
        let id = self.ping;
        self.ping = id.wrapping_add(2);
        self.send(&[frame::ping(id)]).await;
        match self.until(&Expect::Ping(id)).await {
            // A client that has what it wanted may go.
            Err(_) if self.tested == Side::Client && self.took_its_leave() => Ok(()),
            outcome => outcome,
        }
    }

    /// A client that ends its connection, and calls it no error; in strict runs
    /// not without GOAWAY (section 2.1).
    fn took_its_leave(&self) -> bool {
        self.record.closed.is_some()
            && match self.record.go_aways.last() {
                Some((_, status)) => matches!(status, None | Some(GoAwayStatus::OK)),
                None => self.conditions.strictness == Strictness::Usual,
            }
    }

    async fn requests(&mut self, number: usize) -> Result<(), Stop> {
        let deadline = Instant::now() + self.conditions.timeout;
        while self.record.requests.len() < number {
            if !self.read(deadline).await {
                let open = self.record.closed.is_none() || self.took_its_leave();
                if number > 1 && open {
                    return Err(Stop::Skipped(format!(
                        "needs {number} requests on a connection"
                    )));
                }
                return Err(Stop::Failed {
                    expected: "a request".into(),
                    got: self.transcript.latest(),
                });
            }
        }
        Ok(())
    }

    /// Answers the requests that came since the mark, and sets it.
    async fn answer_all(&mut self) {
        let dialect = Dialect {
            version: self.version,
            target: crate::Target::new("http", "localhost"),
        };
        let ok = dialect.reply("200");
        let answers: Vec<Frame> = (self.record.mark..self.record.requests.len())
            .map(|nth| frame::syn_reply(Id::Request(nth, 0), &ok).fin())
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

    /// Sends DATA as the windows of the tested side allow.
    async fn upload(&mut self, id: Id, length: u64) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let mut left = length;
        while left > 0 {
            let (stream, connection) = self.monitor.rooms(&self.record, number);
            let piece = left.min(16_384).min(stream).min(connection);
            if piece == 0 {
                let credit = self.record.stream(number).map_or(0, |stream| stream.credit);
                let more = Expect::Any(vec![
                    Expect::Credit(id, credit.saturating_add(1)),
                    Expect::Credit(0.into(), self.record.credit.saturating_add(1)),
                    Expect::Ended(id),
                ]);
                self.until(&more).await?;
                continue;
            }
            left = left.saturating_sub(piece);
            let data = frame::data_of(id, usize::try_from(piece).unwrap_or(0));
            self.send(&[if left == 0 { data.fin() } else { data }])
                .await;
            self.read(Instant::now()).await;
            if self.record.stream(number).is_some_and(|stream| {
                // A complete response may cut an upload short.
                Stream::is_over(stream) && self.tested == Side::Server
            }) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends more than the windows of the tested side allow.
    async fn overrun(&mut self, id: Id) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let (stream, connection) = self.monitor.rooms(&self.record, number);
        let beyond = stream.min(connection).saturating_add(1);
        if beyond > AFFORDABLE {
            let need = Need::Window(u32::try_from(AFFORDABLE).unwrap_or(u32::MAX));
            return Err(Stop::Skipped(format!("needs {need}")));
        }
        let credit = self.record.stream(number).map_or(0, |stream| stream.credit);
        let right = Expect::Any(vec![
            Expect::StreamError(
                id,
                vec![lacewing_frames::spdy::ErrorCode::FLOW_CONTROL_ERROR],
            ),
            Expect::SessionError,
            Expect::Credit(id, credit.saturating_add(1)),
            Expect::Credit(0.into(), self.record.credit.saturating_add(1)),
        ]);
        let mut left = usize::try_from(beyond).unwrap_or(0);
        let mut frames = Vec::new();
        while left > 0 {
            let length = left.min(16_384);
            frames.push(frame::data_of(id, length));
            left = left.saturating_sub(length);
        }
        self.send(&frames).await;
        self.until(&right).await
    }

    /// Waits until an expectation is met.
    pub(super) async fn until(&mut self, expect: &Expect) -> Result<(), Stop> {
        let deadline = Instant::now() + self.conditions.timeout;
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
        if self.conditions.strictness == Strictness::Usual && matches!(expect, Expect::SessionError)
        {
            expected.push_str(" or the end alone");
        }
        // A rule broken on the way explains more than what did not follow.
        let got = match self.monitor.violations.first() {
            Some(violation) => format!("{got}; and before: {violation}"),
            None => got,
        };
        Stop::Failed { expected, got }
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
            match self.decoder.decode(&mut self.link.input) {
                Ok(Some(message)) => self.message(&message, &mut answers),
                Ok(None) => break,
                Err(error) => {
                    let why = format!("{error} ({})", error.section());
                    self.transcript.line(format!("< {why}"));
                    self.monitor.violations.push(why.clone());
                    if error.scope() == lacewing_frames::spdy::Scope::Connection {
                        self.link.closed = Some(why);
                        break;
                    }
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
        if let Message::Ping(ping) = message {
            let theirs = ping.id % 2 == u32::from(self.tested == Side::Client);
            if theirs && ping.id != 0 {
                answers.push(frame::ping(ping.id));
            }
        }
    }
}

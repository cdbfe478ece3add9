//! The scripted peer: plays a script on a connection and judges the reactions.

mod bulk;
mod probe;

use std::time::Duration;

use bytes::BytesMut;
use lacewing_frames::Side;
use tokio::time::Instant;

pub(crate) use bulk::{AFFORDABLE, Upload};
pub(crate) use probe::MOST;

use crate::{
    case::{Need, Play, Playing},
    conditions::{Conditions, Strictness},
    expect::{Expect, Judge},
    link::{Link, Transport},
    record::Record,
    script::{Script, Step},
    stream_id::Id,
    transcript::{Stop, Transcript},
    verdict::Verdict,
    windows::Refill,
};

/// The operations of a protocol that the player needs.
pub(crate) trait Dialect: Judge {
    /// The codec and the monitor of a connection.
    type Session: Session<Self>;

    /// Starts the connection; by default the script does all of it.
    fn start(
        _player: &mut Player<'_, Self>,
        _setup: &Self::Setup,
    ) -> impl Future<Output = Result<(), Stop>> + Send {
        async { Ok(()) }
    }

    /// Plays a step that only this protocol has.
    fn step(
        player: &mut Player<'_, Self>,
        step: &Self::Step,
    ) -> impl Future<Output = Result<(), Stop>> + Send;

    /// Our PING of this number, counted from 0, and the contents of its answer.
    fn ping(number: u32, tested: Side) -> (Self::Frame, Self::Ping);

    /// DATA of this many bytes.
    fn data(stream: Id, length: usize) -> Self::Frame;

    /// The frame with the flag that ends the stream.
    fn end(frame: Self::Frame) -> Self::Frame;

    /// The right errors for DATA beyond a window.
    fn overrun_errors(stream: Id) -> Vec<Expect<Self>>;

    /// Returns `true` if a client under test ended its connection without an
    /// error. The end is then no failure.
    fn has_left(_record: &Record<Self>, _strictness: Strictness) -> bool {
        false
    }

    /// Returns `true` if a client under test ended its connection with an error.
    /// A case that waits for its requests then fails, and is not skipped.
    fn has_failed(record: &Record<Self>, _strictness: Strictness) -> bool {
        Self::connection_error(record).is_some()
    }

    /// Describes a frame that we send.
    fn describe_sent(frame: &Self::Frame, requests: &[u32]) -> String;

    /// Describes a received frame.
    fn describe_received(message: &Self::Message) -> String;
}

/// The state of one connection of a protocol.
pub(crate) trait Session<P: Dialect>: Send {
    fn new(script: &Script<P>, tested: Side) -> Self;

    /// Encodes a frame to send, and records it for the monitor.
    fn encode(&mut self, frame: &P::Frame, requests: &[u32]) -> Vec<u8>;

    /// Records that we send bytes that are not a frame.
    fn sends_bytes(&mut self) {}

    /// Decodes the next frame of the input.
    fn decode(&mut self, input: &mut BytesMut) -> Decoded<P>;

    /// Checks a frame against the rules for senders, and records it. Returns
    /// the answer that every peer must send.
    fn receive(&mut self, message: &P::Message, record: &mut Record<P>) -> Option<P::Frame>;

    /// A response with status 200 and no content.
    fn ok(&self, stream: Id) -> P::Frame;

    /// The remaining windows of the stream and of the connection for our DATA.
    fn windows(&self, record: &Record<P>, stream: u32) -> [u64; 2];

    /// The frames that give credit for the DATA received on the stream and on the connection.
    fn credit(&mut self, record: &Record<P>, stream: u32, which: Refill) -> Vec<P::Frame>;

    /// The rules that the tested side broke, with their sections.
    fn violations(&mut self) -> &mut Vec<String>;
}

/// The result of decoding.
pub(crate) enum Decoded<P: Dialect> {
    Message(P::Message),
    /// The connection preface.
    Preface,
    /// A part of a header block, or an ignored frame.
    Nothing,
    /// More bytes are needed.
    Incomplete,
    /// A frame that cannot be decoded; those that follow can.
    BrokenFrame(String),
    /// The later bytes cannot be decoded.
    BrokenConnection(String),
}

impl<P: Dialect> Play for Script<P> {
    fn play<'a>(
        &'a self,
        tested: Side,
        io: Box<dyn Transport + 'a>,
        conditions: &'a Conditions,
    ) -> Playing<'a> {
        Box::pin(async move {
            let mut player = Player::new(self, io, tested, *conditions);
            let played = player.script(self).await;
            let violations = std::mem::take(player.session.violations());
            player.transcript.outcome(played, &violations)
        })
    }
}

/// The scripted peer on one connection.
pub(crate) struct Player<'a, P: Dialect> {
    link: Link<'a>,
    tested: Side,
    conditions: Conditions,
    pub(crate) session: P::Session,
    pub(crate) record: Record<P>,
    /// The number of PINGs that we sent.
    pings: u32,
    pub(crate) transcript: Transcript,
}

impl<'a, P: Dialect> Player<'a, P> {
    pub(crate) fn new(
        script: &Script<P>,
        io: Box<dyn Transport + 'a>,
        tested: Side,
        conditions: Conditions,
    ) -> Self {
        Self {
            link: Link::new(io, conditions),
            tested,
            conditions,
            session: P::Session::new(script, tested),
            record: Record::new(),
            pings: 0,
            transcript: Transcript::default(),
        }
    }

    pub(crate) fn tested(&self) -> Side {
        self.tested
    }

    /// Plays the whole script.
    pub(crate) async fn script(&mut self, script: &Script<P>) -> Result<(), Stop> {
        P::start(self, &script.setup).await?;
        for step in &script.steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step<P>) -> Result<(), Stop> {
        match step {
            Step::Send(frames) => self.send(frames).await,
            Step::Bytes(bytes) => {
                self.session.sends_bytes();
                let shown = bytes.get(..48).unwrap_or(bytes).escape_ascii();
                let line = format!("> {} bytes \"{shown}\"", bytes.len());
                self.send_bytes(line, bytes).await;
            }
            Step::Expect(expect) => self.until(expect).await?,
            Step::Holds(expect) => self.holds(expect)?,
            Step::Alive => self.alive().await?,
            Step::Settle => {
                self.alive().await?;
                self.listen(self.conditions.timeout / 10).await;
            }
            Step::Overrun(id) => self.overrun(*id).await?,
            Step::Upload(id, length) => self.upload(*id, *length, Upload::plain()).await?,
            Step::Requests(number) => self.requests(*number).await?,
            Step::Body => self.body()?,
            Step::Mark => self.record.mark = self.record.requests.len(),
            Step::AnswerAll => self.answer_all().await,
            Step::Another => self.requests(self.record.mark.saturating_add(1)).await?,
            Step::Finish => {
                self.transcript.line("> end of the transport".into());
                self.link.finish().await;
            }
            Step::Own(step) => P::step(self, step).await?,
        }
        Ok(())
    }

    /// Sends frames in one write.
    pub(crate) async fn send(&mut self, frames: &[P::Frame]) {
        let mut bytes = Vec::new();
        for frame in frames {
            let requests = &self.record.requests;
            self.transcript.line(P::describe_sent(frame, requests));
            bytes.extend_from_slice(&self.session.encode(frame, requests));
        }
        self.link.write(&bytes).await;
    }

    /// Sends bytes that are not a frame, with their line for the transcript.
    pub(crate) async fn send_bytes(&mut self, line: String, bytes: &[u8]) {
        self.transcript.line(line);
        self.link.write(bytes).await;
    }

    /// Sends PING and waits for its answer.
    async fn alive(&mut self) -> Result<(), Stop> {
        let (frame, ping) = P::ping(self.pings, self.tested);
        self.pings = self.pings.wrapping_add(1);
        self.send(&[frame]).await;
        match self.until(&Expect::PingAnswer(ping)).await {
            Err(_) if self.tested == Side::Client && self.has_left() => return Ok(()),
            outcome => outcome?,
        }
        // The answer may precede the end of a connection that has failed.
        self.holds(&Expect::NoConnectionError)
    }

    fn has_left(&self) -> bool {
        P::has_left(&self.record, self.conditions.strictness)
    }

    async fn requests(&mut self, number: usize) -> Result<(), Stop> {
        let deadline = self.deadline();
        while self.record.requests.len() < number {
            if !self.read(deadline).await || Instant::now() > deadline {
                if number > 1 && !P::has_failed(&self.record, self.conditions.strictness) {
                    return Err(Stop::Skipped(format!(
                        "needs {number} requests at once on a connection"
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

    /// Answers the requests since the mark, and sets it.
    async fn answer_all(&mut self) {
        let answers: Vec<P::Frame> = (self.record.mark..self.record.requests.len())
            .map(|nth| self.session.ok(Id::Request(nth, 0)))
            .collect();
        self.record.mark = self.record.requests.len();
        self.send(&answers).await;
    }

    /// Skips the case unless the first request has a body.
    fn body(&self) -> Result<(), Stop> {
        let first = self.record.requests.first();
        let ended = first
            .and_then(|id| self.record.stream(*id))
            .is_none_or(|stream| stream.ended && stream.content == 0);
        match ended {
            true => Err(Stop::needs(Need::RequestBody)),
            false => Ok(()),
        }
    }

    /// Waits until an expectation is met.
    pub(crate) async fn until(&mut self, expect: &Expect<P>) -> Result<(), Stop> {
        let deadline = self.deadline();
        loop {
            match self.judge(expect) {
                Verdict::Met => return Ok(()),
                Verdict::Missed(got) => return Err(self.failed(expect, got)),
                Verdict::Open => {}
            }
            // A peer that never stops sending must not block the case.
            if !self.read_for(expect, deadline).await || Instant::now() > deadline {
                return match self.judge(expect) {
                    Verdict::Met => Ok(()),
                    Verdict::Missed(got) => Err(self.failed(expect, got)),
                    Verdict::Open => Err(self.failed(expect, self.transcript.latest())),
                };
            }
        }
    }

    /// Reads once, and takes the responses that a case waits for as a whole: gives credit when a
    /// window is used up, or when the tested side pauses. All other DATA stays in the windows,
    /// whose sizes are the matter of cases about flow control.
    async fn read_for(&mut self, expect: &Expect<P>, deadline: Instant) -> bool {
        let awaited = expect.whole_responses();
        if !awaited.is_empty() {
            self.refill(&awaited, Refill::Empty).await;
            let pause = Instant::now() + self.conditions.timeout / 10;
            if self.read(deadline.min(pause)).await {
                return true;
            }
            self.refill(&awaited, Refill::All).await;
        }
        self.read(deadline).await
    }

    async fn refill(&mut self, streams: &[Id], which: Refill) {
        for id in streams {
            let stream = id.resolve(&self.record.requests);
            let credit = self.session.credit(&self.record, stream, which);
            if !credit.is_empty() {
                self.send(&credit).await;
            }
        }
    }

    /// Checks that the frames so far do not contradict an expectation.
    fn holds(&mut self, expect: &Expect<P>) -> Result<(), Stop> {
        match self.judge(expect) {
            Verdict::Missed(got) => Err(self.failed(expect, got)),
            Verdict::Met | Verdict::Open => Ok(()),
        }
    }

    /// Reads for this long.
    pub(crate) async fn listen(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while self.read(deadline).await && Instant::now() <= deadline {}
    }

    fn judge(&self, expect: &Expect<P>) -> Verdict {
        expect.judge(&self.record, self.conditions.strictness)
    }

    fn failed(&mut self, expect: &Expect<P>, got: String) -> Stop {
        let mut expected = expect.to_string();
        if self.conditions.strictness == Strictness::Usual
            && matches!(expect, Expect::ConnectionError(_))
        {
            expected.push_str(" (or the end of the connection)");
        }
        // An earlier violation often explains the missing reaction.
        let got = match self.session.violations().first() {
            Some(violation) => format!("{got}; and before: {violation}"),
            None => got,
        };
        Stop::Failed { expected, got }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.conditions.timeout
    }

    /// Reads once and decodes the input. Returns `false` at the end of the input, or after a time
    /// without input.
    async fn read(&mut self, deadline: Instant) -> bool {
        if !self.link.read(deadline).await {
            return false;
        }
        self.decode().await;
        if let (Some(how), None) = (&self.link.closed, &self.record.closed) {
            let how = how.clone();
            self.transcript.line(format!("< {how}"));
            self.record.closed = Some(how);
        }
        true
    }

    /// Decodes the input, and sends the answers that every peer must send.
    async fn decode(&mut self) {
        let mut answers = Vec::new();
        loop {
            match self.session.decode(&mut self.link.input) {
                Decoded::Message(message) => {
                    self.transcript.line(P::describe_received(&message));
                    answers.extend(self.session.receive(&message, &mut self.record));
                }
                Decoded::Preface => self.transcript.line("< connection preface".into()),
                Decoded::Nothing => {}
                Decoded::Incomplete => break,
                Decoded::BrokenFrame(why) => self.broken(why),
                Decoded::BrokenConnection(why) => {
                    self.broken(why.clone());
                    self.link.closed = Some(why.clone());
                    self.record.closed = Some(why);
                    break;
                }
            }
        }
        if !answers.is_empty() {
            self.send(&answers).await;
        }
    }

    fn broken(&mut self, why: String) {
        self.transcript.line(format!("< {why}"));
        self.session.violations().push(why);
    }
}

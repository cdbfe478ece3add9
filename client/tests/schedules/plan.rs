//! The plan of one exchange, as its seed chooses it.

use std::time::Duration;

use http::Method;

use crate::seeds::Rng;

/// One request, its handler, and the user that waits for the response.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The start, from the schedule's.
    pub(crate) at: Duration,
    pub(crate) method: Method,
    pub(crate) upload: Option<Content>,
    pub(crate) expect_continue: bool,
    pub(crate) handler: Handler,
    pub(crate) response: Content,
    pub(crate) user: User,
}

/// Content, as its sender gives it.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) len: usize,
    pub(crate) piece: usize,
    /// Pauses before some of its pieces.
    pub(crate) pauses: usize,
    pub(crate) pause: Duration,
    pub(crate) end: End,
    pub(crate) length: Length,
    pub(crate) trailers: bool,
}

/// The end of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// An error after so many bytes.
    Fails(usize),
    Panics(usize),
}

/// The declared length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Unknown,
    /// By the size hint.
    Hint,
    /// By `content-length`.
    Declared,
    /// By `content-length`, which is wrong by so much.
    Wrong(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Handler {
    pub(crate) pause: Duration,
    pub(crate) reading: Reading,
    pub(crate) result: Outcome,
    /// An informational response is sent before.
    pub(crate) informs: bool,
    /// The number of promises.
    pub(crate) pushes: usize,
}

/// A reader of content, on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    All,
    /// A pause before each of the first pieces.
    Slowly(Duration),
    /// So many bytes, and no more.
    Some(usize),
    None,
    /// Nothing for a while, then all.
    Late(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Responds,
    /// The content of the request is that of the response.
    Echoes,
    Fails,
    Panics,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    /// The future of the response is dropped after this time.
    pub(crate) gives_up: Option<Duration>,
    pub(crate) reading: Reading,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let method = rng.one_of(&[0, 0, 0, 1, 1, 1, 2, 3]);
        let method = [Method::GET, Method::POST, Method::PUT, Method::HEAD][method].clone();
        let uploads = method == Method::POST || method == Method::PUT;
        let upload = uploads.then(|| Content::new(rng));
        let result = match rng.below(12) {
            0 => Outcome::Fails,
            1 => Outcome::Panics,
            2..=4 if uploads => Outcome::Echoes,
            _ => Outcome::Responds,
        };
        Self {
            at: rng.time(12),
            method,
            expect_continue: uploads && rng.chance(15),
            upload,
            handler: Handler {
                pause: if rng.chance(50) {
                    Duration::ZERO
                } else {
                    rng.time(13)
                },
                reading: Reading::new(rng),
                result,
                informs: rng.chance(10),
                pushes: if rng.chance(10) { 1 + rng.below(3) } else { 0 },
            },
            response: Content::new(rng),
            user: User {
                gives_up: rng.chance(15).then(|| rng.time(13)),
                reading: if rng.chance(60) {
                    Reading::All
                } else {
                    Reading::new(rng)
                },
            },
        }
    }

    /// The content of the response, if its handler responds as planned.
    pub(crate) fn expected(&self) -> &Content {
        match (self.handler.result, &self.upload) {
            (Outcome::Echoes, Some(upload)) => upload,
            _ => &self.response,
        }
    }
}

impl Content {
    fn new(rng: &mut Rng) -> Self {
        let most = rng.one_of(&[0, 1, 100, 100, 5_000, 5_000, 70_000, 70_000, 300_000]);
        let len = rng.below(most + 1);
        let piece = rng.one_of(&[1, 100, 3_000, 20_000, usize::MAX]);
        let end = match rng.below(12) {
            0 => End::Fails(rng.below(len + 1)),
            1 => End::Panics(rng.below(len + 1)),
            _ => End::Whole,
        };
        Self {
            len,
            // At most about 300 pieces.
            piece: piece.max(len / 300).max(1),
            pauses: if rng.chance(30) { 1 + rng.below(5) } else { 0 },
            pause: rng.time(13),
            end,
            length: match rng.below(12) {
                0..=3 => Length::Unknown,
                4..=6 => Length::Declared,
                7 if len > 0 => Length::Wrong(rng.one_of(&[-1, 1, 1_000])),
                _ => Length::Hint,
            },
            trailers: rng.chance(20),
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.end == End::Whole && !matches!(self.length, Length::Wrong(_))
    }

    /// The value of `content-length`.
    pub(crate) fn declared(&self) -> Option<u64> {
        let len = self.len as u64;
        match self.length {
            Length::Declared => Some(len),
            Length::Wrong(by) => Some(len.saturating_add_signed(by)),
            Length::Unknown | Length::Hint => None,
        }
    }
}

impl Reading {
    fn new(rng: &mut Rng) -> Self {
        match rng.below(8) {
            0..=3 => Self::All,
            4 => Self::Slowly(rng.time(10)),
            5 => Self::Some(rng.below(100_000)),
            6 => Self::None,
            _ => Self::Late(rng.time(14)),
        }
    }
}

impl Rng {
    /// Mostly short; of `orders` powers of two in milliseconds.
    pub(crate) fn time(&mut self, orders: usize) -> Duration {
        let most = 1 << self.below(orders);
        Duration::from_millis(self.below(most + 1) as u64)
    }
}
